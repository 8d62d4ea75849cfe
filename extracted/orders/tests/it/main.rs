//! The service beside the monolith it came from, on one database: nobody may tell them apart.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod pair;
mod same;
mod service;
