//! The request path through its public door: a table, a gateway, scripted upstreams that record what they saw.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, missing_docs, clippy::print_stderr)]

mod answers;
mod authority;
mod client;
mod log;
mod pages;
mod proxy;
mod upstream;

mod bodies;
mod breaker;
mod docs;
mod drain;
mod ejection;
mod failures;
mod fallback;
mod faults;
mod forwarding;
mod frames;
mod grpc;
mod http2;
mod limits;
mod outside;
mod protocol;
mod proxy_protocol;
mod refusals;
mod secure;
mod seeds;
mod shadow;
mod splitting;
mod tls;
mod upgrades;
mod upstream_http2;
mod websockets;
