//! The catalog of the Box Office as a service of its own: what is for sale and at which price.
//!
//! | part | job |
//! |---|---|
//! | [`routes`] | the API, byte for byte that of the monolith |
//! | [`Catalog`] | what it makes of events, and how it publishes its rows again |
//! | `repository` | tickets, and a replica of the stock |

mod events;
mod repository;
mod routes;

use boxoffice_kit::{service::Service, writer::Owned};

pub use self::{events::Catalog, routes::routes};

const MODULE: &str = "catalog";

/// The service as the kit runs it.
pub fn service() -> Service {
    const TICKETS: Owned = Owned {
        name: MODULE,
        fingerprint: &["SELECT id || '|' || title || '|' || price_cents || '|' || owner_id || '|' || deleted
                        || '|' || version FROM tickets"],
        counters: &[("tickets", "SELECT coalesce(max(id), 0) FROM tickets")],
    };
    Service { name: "boxoffice-catalog", migrations: sqlx::migrate!(), owned: &[TICKETS] }
}
