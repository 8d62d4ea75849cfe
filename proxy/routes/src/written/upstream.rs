//! `[upstreams.NAME]`

use super::duration::Span;
use super::failing::BreakerTable;
use super::reader::Located;
use super::table::table;

table! {
    /// Where answers come from.
    UpstreamTable in "an upstream" {
        /// Servers, at least one: `http://host:port`.
        must targets: Vec<Located<String>>,
        /// Active check; without one every target counts as healthy.
        may health: HealthTable,
        /// Longest wait for a TCP connection, that of `[defaults]` when absent.
        may connect_timeout: Span,
        /// How long an idle connection is kept, `60s` when absent.
        may keep_alive: Span,
        /// Most connections to each target, over all threads; unlimited when absent.
        may max_connections: u32,
        /// Most requests at a time, over all targets and threads; unlimited when absent.
        may max_requests: u32,
        /// When requests of candidates leave the upstream alone.
        may breaker: BreakerTable,
    }
    later ["http2", "tls", "tls_ca", "tls_verify", "protocol", "retry", "h2c"]
    hints [
        "" => "write `[upstreams.NAME]`, and `targets = [\"http://127.0.0.1:3000\"]` below it",
        "targets" => "write it like `targets = [\"http://127.0.0.1:3000\"]`",
        "target" => "did you mean `targets`? it is a list: `targets = [\"http://127.0.0.1:3000\"]`",
        "url" => "did you mean `targets`? it is a list: `targets = [\"http://127.0.0.1:3000\"]`",
        "servers" => "did you mean `targets`?",
        "timeout" => "`timeout` belongs to `[defaults]` or a route; an upstream has `connect_timeout`",
        "keepalive" => "did you mean `keep_alive`?",
    ]
}

table! {
    /// An active health check: GET, and 2xx is healthy.
    HealthTable in "`health`" {
        /// Path asked, with query if need be.
        must path: String,
        /// Time between two questions, `5s` when absent.
        may every: Span,
        /// Longest wait for one answer, `2s` when absent.
        may timeout: Span,
        /// Failures in a row that make a target unhealthy, 3 when absent.
        may unhealthy_after: u32,
        /// Successes in a row that make it healthy again, 2 when absent.
        may healthy_after: u32,
    }
    later ["status", "headers", "host", "method", "port"]
    hints [
        "" => "write it like `health = { path = \"/healthz\" }`",
        "path" => "write it like `health = { path = \"/healthz\" }`",
        "interval" => "did you mean `every`?",
    ]
}
