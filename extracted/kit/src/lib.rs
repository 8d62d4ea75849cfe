//! What the programs of the Box Office share: the monolith, and the services taken out of it.
//!
//! | part | job |
//! |---|---|
//! | [`service`] | flags, health, metrics, the life of a process |
//! | `metrics` | rate, errors and duration of every route |
//! | [`server`] | serves until told to stop |
//! | [`database`] | `SQLite` or PostgreSQL by the same statements; `query!`, `query_as!`, `scalar!` |
//! | [`problem`] | what goes wrong, as the API answers it |
//! | [`identity`] | who is signed in: asked once, then signed |
//! | [`event`] | the envelope, and the outbox it is written to |
//! | [`inbox`] | handles each event once |
//! | [`bus`] | carries events: HTTP or NATS `JetStream` |
//! | [`writer`] | who writes a module's rows, and how that changes hands |
//! | [`dry_run`] | requests that want nothing to be kept |
//!
//! A known limit: `outbox` and `inbox` keep every event and its id for ever. A subscriber that is added later gets all
//! there ever was, and a repetition is known however late it comes; the price is about 1 KB a write. Who runs this for
//! years deletes rows of the outbox below the least `deliveries.position`, and ids of the inbox that are older than any
//! repetition (they are `UUIDv7`, which sort by time).

pub mod bus;
pub mod database;
pub mod dry_run;
pub mod event;
pub mod identity;
pub mod inbox;
mod metrics;
pub mod problem;
pub mod server;
pub mod service;
pub mod writer;

pub use database::{Connection, Database, Tx, next_id};
pub use event::{Event, publish};
pub use problem::Problem;
pub use {async_trait::async_trait, sqlx};
