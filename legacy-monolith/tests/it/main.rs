//! The monolith through its front door, and the fences between its modules.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fences;
mod moving;
mod ordering;
mod pages;
mod paying;
mod people;
mod process;
mod selling;
mod shop;
mod stream;
mod telling;
