//! Everything slower than a request: reload, admin API, history, editing routes.toml.
//!
//! - `api`: the JSON of the admin API, shared with the commands that call it.

pub mod api;
