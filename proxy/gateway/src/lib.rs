//! The request path: listen, decide, forward, measure.
//!
//! Floor plan, in the order a request travels:
//!
//! - `gateway`: the handle by which the rest of the program holds all of this.
//! - `server`: pingora's listeners, threads and shutdown. The only file that names `pingora`.
//! - `connection`: one accepted stream: hyper's HTTP/1 server, deadlines, lingering close.
//! - `guard`: what hyper lets through and we refuse before routing: Host, targets, transfer codings.
//! - `state`: the table in force with everything the hot path needs ready-made.
//! - `serve`: one request from decision to answer.
//! - `forwarding`: the header fields that change between client and upstream, both ways.
//! - `forward`: the exchange with an upstream: attempts, deadlines, error mapping.
//! - `pool`: idle connections, per worker thread, borrowed across threads. `targets`: which server of an upstream.
//! - `health`: active checks. `resolve`: names to addresses.
//! - `upgrade`: both sides of a 101 joined.
//! - `metrics`: per-worker cells summed when scraped. `access_log`: JSON lines on their own thread.

mod access_log;
mod answer;
mod body;
mod connection;
mod connections;
mod exchange;
mod expect;
mod forward;
mod forwarding;
mod gateway;
mod guard;
mod health;
mod lingering;
mod metrics;
mod pool;
mod resolve;
mod serve;
mod server;
mod state;
mod targets;
mod upgrade;
mod upkeep;
mod upstream_io;
mod worker;

pub use gateway::{AccessLogTarget, ArmCounts, Drained, Gateway, Settings, StartError, TargetStatus};
pub use metrics::{METRICS, MetricInfo, MetricKind};
