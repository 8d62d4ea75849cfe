//! The monolith through its front door, and the fences between its modules.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fences;
mod ordering;
mod paying;
mod people;
mod process;
mod shop;
mod stream;
mod telling;
