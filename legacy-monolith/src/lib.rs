//! The Box Office as a modular monolith: one process, one database.
//!
//! | part | job |
//! |---|---|
//! | [`app`] | the whole HTTP surface, without a socket |
//! | [`open`] | the database, its tables brought up to date |
//! | [`seed`] | reproducible tickets, users and orders |
//! | `users`, `catalog`, `inventory`, `cart`, `orders`, `payments`, `notifications` | the modules: seam, routes, service, repository |
//! | `expiration` | a module without tables: cancels what is not paid in time |
//! | `reports` | what only one database can answer |
//! | `web` | the HTML pages |
//! | `seam` | a module here, or in the service it was taken out to |
//! | `events` | what the services tell |
//! | `operations` | what the services ask |
//!
//! A module reaches another one through its seam only, never through its repository; a test holds that.

mod app;
mod cart;
mod catalog;
mod events;
mod expiration;
mod inventory;
mod notifications;
mod operations;
mod orders;
mod payments;
mod reports;
mod seam;
pub mod seed;
mod users;
mod web;

pub use app::{NAME, Settings, app};
use boxoffice_kit::{Database, database::DatabaseError};

/// Opens the shop's database: a SQLite file, made when missing, or `postgres://...`.
pub async fn open(address: &str) -> Result<Database, DatabaseError> {
    Database::open(address, sqlx::migrate!()).await
}
