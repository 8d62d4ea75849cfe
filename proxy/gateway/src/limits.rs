//! How much a client may take. Each limit says in docs/limits.md what becomes of who goes beyond it.

use std::time::Duration;

/// Limits of the process; those of single routes and upstreams are in their table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of the fields of a request. With HTTP/1 the target may add as much as `target_bytes`.
    pub head_bytes: usize,
    /// Most fields of a request.
    pub fields: usize,
    /// Longest target of a request.
    pub target_bytes: usize,
    /// From the first byte of a request to the end of its head; also for a PROXY header.
    pub head_timeout: Duration,
    /// Longest rest of a connection between two requests, and before the first.
    pub keep_alive: Duration,
    /// Most requests on one connection.
    pub requests_per_connection: Option<u64>,
    /// Most connections of clients at a time.
    pub connections: Option<u64>,
    /// Most of them from one address; from one /64 with IPv6.
    pub connections_per_address: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 64 << 10,
            fields: 100,
            target_bytes: 16 << 10,
            head_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            requests_per_connection: None,
            connections: Some(65_536),
            connections_per_address: None,
        }
    }
}
