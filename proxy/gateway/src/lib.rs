//! The request path: listen, decide, forward, measure.
//!
//! Floor plan, in the order a request travels:
//!
//! - `gateway`: the handle by which the rest of the program holds all of this.
//! - `sockets`: what is listened on, also across processes. `server`: pingora's threads and shutdown, and what is accepted on them.
//!   `worker`: what each thread holds for itself.
//! - `connection`: one accepted stream: who may come in, which HTTP it speaks, and deadlines. `http1`: HTTP/1.1 on the wire. `message`: heads as they pass through. `limits`: how much a client may
//!   take. `proxy_protocol`: whom a load balancer speaks for. `tls`: its certificates and handshake.
//!   `lazy_sleep`: a timer for deadlines. `lingering`: closing a stream so that answers arrive. `reset`: so that a broken
//!   one is seen. `connections`: how many are open, for the drain.
//! - `guard`: what is well-formed and refused before routing: Host, targets, transfer codings.
//! - `state`: the table in force with everything the hot path needs ready-made.
//! - `serve`: one request from decision to answer. `exchange`: its record, closed exactly once. `answer`: answers
//!   that Banyan gives itself.
//! - `forwarding`: the header fields that change between client and upstream, both ways.
//!   `rewriting`: the same as a benchmark calls it.
//! - `outside`: one application to the outside: paths rewritten for a candidate, addresses and cookies of answers
//!   made to fit.
//! - `forward`: the exchange with an upstream: attempts, deadlines, error mapping. `body`: bodies on their way
//!   through. `relay`: an answer that waits for an HTTP/2 client. `expect`: `100-continue`. `upstream_io`: a stream that
//!   outlives an early answer.
//! - `fallback`: when a candidate cannot answer and legacy may. `breaker`: when a candidate is not asked at all.
//! - `pool`: idle connections, per worker thread, borrowed across threads. `streams`: those of HTTP/2, which requests share.
//!   `connect`: new ones, with the TLS of `tls`. `targets`: which server of an upstream.
//!   `ejection`: what a server's record says of it. `room`: how many requests an upstream takes.
//! - `health`: active checks. `resolve`: names to addresses. `dial`: to whichever answers first. `upkeep`: what happens now
//!   and then, on a thread of its own.
//! - `upgrade`: both sides of a 101 joined. `websocket`: the same for clients of HTTP/2.
//! - `shadow`: copies to the arm that did not answer, on a thread of their own; both answers compared.
//! - `comparisons`: what comparing the answers of both arms adds up to.
//! - `metrics`: per-worker cells summed when scraped. `access_log`: JSON lines on their own thread.

mod access_log;
mod answer;
mod body;
mod breaker;
mod comparisons;
mod connect;
mod connection;
mod connections;
mod dial;
mod ejection;
mod exchange;
mod expect;
mod fallback;
mod forward;
mod forwarding;
mod gateway;
mod guard;
mod health;
mod http1;
mod lazy_sleep;
mod limits;
mod lingering;
mod message;
mod metrics;
mod outside;
mod pool;
mod proxy_protocol;
mod relay;
mod reset;
mod resolve;
mod rewriting;
mod room;
mod serve;
mod server;
mod shadow;
mod sockets;
mod state;
mod streams;
mod targets;
mod tls;
mod upgrade;
mod upkeep;
mod upstream_io;
mod websocket;
mod worker;

pub use breaker::BreakerState;
pub use comparisons::{Asked, Compared, Comparisons, RouteComparisons};
pub use gateway::{
    AccessLogTarget, ArmCounts, BreakerStatus, Drained, Gateway, RouteCounts, Settings, StartError,
    TargetStatus,
};
pub use limits::Limits;
pub use metrics::{DURATION_BUCKETS, Distribution, METRICS, MetricInfo, MetricKind, list as metric};
#[doc(hidden)]
pub use rewriting::{Head, Rewriting};
pub use shadow::Held;
pub use tls::{CertificateFiles, Tls, TlsError, TlsSettings, UnusableUpstream, unusable_upstreams};
