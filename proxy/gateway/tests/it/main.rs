//! The request path through its public door: a table, a gateway, scripted upstreams that record what they saw.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, missing_docs)]

mod client;
mod proxy;
mod upstream;

mod bodies;
mod docs;
mod drain;
mod failures;
mod forwarding;
mod protocol;
mod splitting;
mod upgrades;
