//! What people are told of what happened to them. Owns `notifications`.

mod repository;
mod routes;
mod service;

use boxoffice_kit::{database::Flag, sqlx, writer::Owned};
use serde::{Deserialize, Serialize};

pub(crate) use self::{routes::routes, service::Local};

/// What must be the same on both sides before notifications change hands. Those not sent yet need not be: both sides
/// write them by what they hear.
pub(crate) const OWNED: Owned = Owned {
    name: "notifications",
    fingerprint: &["SELECT id || '|' || read || '|' || version FROM notifications WHERE state = 'sent'"],
    counters: &[],
};

/// Something to tell somebody. The id says of what it tells, so that nothing is told twice.
#[derive(Debug)]
pub(crate) struct Note {
    /// Such as `order-17-created`.
    pub(crate) id: String,
    pub(crate) user_id: i64,
    /// The event it tells of.
    pub(crate) kind: String,
    pub(crate) subject: String,
    pub(crate) body: String,
}

/// A notification that was sent, as its reader sees it.
#[derive(Debug, Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Notification {
    id: String,
    kind: String,
    subject: String,
    body: String,
    #[sqlx(try_from = "i64")]
    read: Flag,
    created_at: String,
}

/// The newest ones.
#[derive(Debug, Serialize)]
pub(crate) struct Listing {
    notifications: Vec<Notification>,
    unread: i64,
}

/// The whole row, as it is stored and as `notification.sent` carries it.
#[derive(Debug, Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    user_id: i64,
    #[serde(flatten)]
    #[sqlx(flatten)]
    notification: Notification,
    state: String,
    version: i64,
}
