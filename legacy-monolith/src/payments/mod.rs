//! Money in, and back. Owns `payments`. An order is charged once, whatever is repeated, raced or broken off.

mod provider;
mod repository;
mod routes;
mod service;

use boxoffice_kit::{database::Flag, sqlx, writer::Owned};
use serde::{Deserialize, Serialize};

pub(crate) use self::{routes::routes, service::Local};

/// What must be the same on both sides before payments change hands. What is only tried is nobody else's business.
pub(crate) const OWNED: Owned = Owned {
    name: "payments",
    fingerprint: &["SELECT id || '|' || order_id || '|' || amount_cents || '|' || status || '|' || settled || '|' || version
         FROM payments WHERE status IN ('succeeded', 'refunded')"],
    counters: &[("payments", "SELECT COALESCE(max(id), 0) FROM payments")],
};

/// A payment as its payer sees it.
#[derive(Clone, Debug, Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Payment {
    pub(crate) id: i64,
    pub(crate) order_id: i64,
    pub(crate) amount_cents: i64,
    /// `succeeded` or `refunded`; here alone also `pending` and `failed`, which nobody is shown.
    pub(crate) status: String,
    /// Whether the provider has said that the money arrived.
    #[sqlx(try_from = "i64")]
    pub(crate) settled: Flag,
    pub(crate) created_at: String,
}

/// The whole row, as events carry it.
#[derive(Clone, Debug, Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Paid {
    pub(crate) user_id: i64,
    pub(crate) idempotency_key: String,
    /// Whether the order was cancelled meanwhile.
    #[sqlx(try_from = "i64")]
    pub(crate) refund_wanted: Flag,
    #[sqlx(flatten)]
    pub(crate) payment: Payment,
    pub(crate) version: i64,
}

/// What somebody wants to pay, and how.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Wanted {
    pub(crate) order_id: i64,
    pub(crate) token: String,
}
