//! The public door of banyan-routes.

// In tests a failed `unwrap` is a failed test.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod changes;
mod comparing;
mod decide;
mod doors;
mod explain;
mod files;
mod matching;
mod paths;
mod rewriting;
mod robust;
mod schema;
mod seeds;
mod share;
mod world;
