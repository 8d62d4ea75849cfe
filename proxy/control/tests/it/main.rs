//! The control side through its public door: a proxy is started on real files, the files are changed the way
//! people and tools change them, and the admin listener is asked what came of it.

#![allow(clippy::unwrap_used)] // a step that fails fails its test
#![allow(clippy::expect_used)]

mod actions;
mod admin;
mod board;
mod browser;
mod counts;
mod crowd;
mod history;
mod includes;
mod log;
mod mismatches;
mod pages;
mod ranges;
mod reload;
mod run;
mod sessions;
mod site;
mod slow_disk;
