//! The inventory of the Box Office as a service of its own: how many tickets are left. It never oversells.
//!
//! | part | job |
//! |---|---|
//! | [`routes`] | the API, byte for byte that of the monolith, and the reservations of orders |
//! | [`Inventory`] | what it makes of events, and how it publishes its rows again |
//! | `repository` | stock, reservations, and how orders ended |

mod events;
mod repository;
mod routes;

use boxoffice_kit::{service::Service, writer::Owned};

pub use self::{events::Inventory, routes::routes};

const MODULE: &str = "inventory";

/// The service as the kit runs it.
pub fn service() -> Service {
    const STOCK: Owned = Owned {
        name: MODULE,
        fingerprint: &[
            "SELECT ticket_id || '|' || capacity || '|' || reserved || '|' || sold || '|' || version FROM stock",
        ],
        counters: &[],
    };
    Service { name: "boxoffice-inventory", migrations: sqlx::migrate!(), owned: &[STOCK] }
}
