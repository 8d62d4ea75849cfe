//! The request path: listen, decide, forward, measure.
//!
//! Floor plan, in the order a request travels:
//!
//! - `gateway`: the handle by which the rest of the program holds all of this.
//! - `server`: pingora's listeners, threads and shutdown. `worker`: what each thread holds for itself.
//! - `connection`: one accepted stream: hyper's HTTP/1 server and deadlines. `lingering`: closing it so that answers
//!   arrive. `connections`: how many are open, for the drain.
//! - `guard`: what hyper lets through and we refuse before routing: Host, targets, transfer codings.
//! - `state`: the table in force with everything the hot path needs ready-made.
//! - `serve`: one request from decision to answer. `exchange`: its record, closed exactly once. `answer`: answers
//!   that Banyan gives itself.
//! - `forwarding`: the header fields that change between client and upstream, both ways.
//! - `forward`: the exchange with an upstream: attempts, deadlines, error mapping. `body`: bodies on their way
//!   through. `expect`: `100-continue`. `upstream_io`: a stream that outlives an early answer.
//! - `pool`: idle connections, per worker thread, borrowed across threads. `targets`: which server of an upstream.
//! - `health`: active checks. `resolve`: names to addresses. `upkeep`: both, on a thread of their own.
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
