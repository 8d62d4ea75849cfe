//! The kit, tried with the smallest module there is: numbered notes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod database;
mod events;
mod handing_over;
mod notes;
