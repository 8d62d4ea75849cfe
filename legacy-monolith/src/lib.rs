//! The Box Office as a modular monolith: one process, one database.
//!
//! | part | job |
//! |---|---|
//! | [`app`] | the whole HTTP surface, without a socket |
//! | [`Database`] | the SQLite file: opened, migrated |
//! | [`seed`] | reproducible tickets and users |
//! | `users`, `catalog`, `inventory`, `orders` | the modules: seam, routes, service, repository |
//! | `web` | the HTML pages |
//! | `problem` | what goes wrong, as the API answers it |
//! | `operations` | health and the session question of extracted services |
//! | `server`: [`serve`] | runs the application until told to stop |
//!
//! A module reaches another one through its seam only, never through its repository; a test holds that.

mod app;
mod catalog;
mod database;
mod inventory;
mod operations;
mod orders;
mod problem;
pub mod seed;
mod server;
mod users;
mod web;

pub use app::{Settings, app};
pub use database::{Database, DatabaseError};
pub use server::{serve, stop_on_signal};
