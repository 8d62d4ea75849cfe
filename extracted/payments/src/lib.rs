//! The payments of the Box Office as a service of its own. It never charges an order twice.
//!
//! | part | job |
//! |---|---|
//! | [`routes`] | the API, byte for byte that of the monolith |
//! | `service` | the rules: before, during and after a charge |
//! | `provider` | the fake one that charges |
//! | [`Payments`] | what it makes of events, and how it publishes its rows again |
//! | `repository` | payments, and a replica of the orders |

mod events;
mod provider;
mod repository;
mod routes;
mod service;

use boxoffice_kit::{service::Service, writer::Owned};

pub use self::{events::Payments, routes::routes};

const MODULE: &str = "payments";

/// The service as the kit runs it.
pub fn service() -> Service {
    const PAYMENTS: Owned = Owned {
        name: MODULE,
        fingerprint: &["SELECT id || '|' || order_id || '|' || amount_cents || '|' || status || '|' || settled || '|' || version
                        FROM payments"],
        counters: &[("payments", "SELECT coalesce(max(id), 0) FROM payments")],
    };
    Service { name: "boxoffice-payments", migrations: sqlx::migrate!(), owned: &[PAYMENTS] }
}
