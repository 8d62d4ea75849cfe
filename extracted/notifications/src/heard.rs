//! What the events of others mean for users. Everybody notes what is to be told; only the writer of record sends it.

use boxoffice_kit::{Connection, Event, Problem, async_trait, inbox::Module, query, query_as};
use serde::Deserialize;

use crate::{Notification, tell};

/// What arrives from the bus.
pub struct Listener;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfOrder {
    user_id: i64,
    order: Order,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    id: i64,
    number: i64,
    total_cents: i64,
    expires_at: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfPayment {
    user_id: i64,
    payment: Payment,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payment {
    id: i64,
    amount_cents: i64,
}

#[derive(Deserialize)]
struct Contact {
    id: i64,
    email: String,
    name: String,
}

#[async_trait]
impl Module for Listener {
    fn listens(&self) -> &'static [&'static str] {
        &[
            "order.created",
            "order.completed",
            "order.cancelled",
            "payment.refunded",
            "user.registered",
            "notification.sent",
        ]
    }

    async fn handle(&self, tx: &mut Connection, event: &Event) -> Result<(), Problem> {
        match event.kind.as_str() {
            "notification.sent" => Ok(store(tx, &event.data()?).await?),
            "user.registered" => Ok(meet(tx, &event.data()?, event.aggregate_version).await?),
            "payment.refunded" => {
                let OfPayment { user_id, payment: Payment { id, amount_cents: cents } } = event.data()?;
                let body = format!("{}.{:02} are on their way back to you.", cents / 100, cents % 100);
                let (id, subject) = (format!("payment-{id}-refunded"), "Your payment is refunded".to_owned());
                Ok(note(tx, event, (id, user_id), (subject, body)).await?)
            }
            kind => {
                let what = kind.strip_prefix("order.").unwrap_or(kind);
                let OfOrder { user_id, order: Order { id, number, total_cents: cents, expires_at } } =
                    event.data()?;
                let body = match what {
                    "completed" => "Thank you. Your tickets are ready.".to_owned(),
                    "cancelled" => "Your tickets were given back.".to_owned(),
                    _ => format!("Please pay {}.{:02} before {expires_at}.", cents / 100, cents % 100),
                };
                let (id, subject) = (format!("order-{id}-{what}"), format!("Order {number} is {what}"));
                Ok(note(tx, event, (id, user_id), (subject, body)).await?)
            }
        }
    }

    async fn replay(&self, tx: &mut Connection, _: &str, offset: i64, limit: i64) -> Result<i64, Problem> {
        let sql = "SELECT * FROM notifications WHERE state = 'sent' ORDER BY id LIMIT $1 OFFSET $2";
        let rows: Vec<Notification> = query_as!(sql, limit, offset).fetch_all(&mut *tx).await?;
        for row in &rows {
            tell(tx, row).await?;
        }
        Ok(i64::try_from(rows.len()).unwrap_or(limit))
    }
}

/// Notes what is to be sent: once, however often and by whomever it is heard.
async fn note(
    tx: &mut Connection,
    event: &Event,
    (id, user_id): (String, i64),
    (subject, body): (String, String),
) -> sqlx::Result<()> {
    let row = Notification {
        id,
        user_id,
        kind: event.kind.clone(),
        subject,
        body,
        read: 0,
        state: "pending".to_owned(),
        version: 1,
        created_at: format!("{:.6}", event.occurred_at),
    };
    store(tx, &row).await
}

/// Stores a row unless it is known as well or better.
async fn store(tx: &mut Connection, row: &Notification) -> sqlx::Result<()> {
    query!(
        "INSERT INTO notifications (id, user_id, kind, subject, body, read, state, version, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (id) DO UPDATE SET subject = excluded.subject, body = excluded.body, read = excluded.read,
             state = excluded.state, version = excluded.version, created_at = excluded.created_at
         WHERE notifications.version < excluded.version",
        &row.id,
        row.user_id,
        &row.kind,
        &row.subject,
        &row.body,
        row.read,
        &row.state,
        row.version,
        &row.created_at
    )
    .execute(tx)
    .await
    .map(drop)
}

async fn meet(tx: &mut Connection, contact: &Contact, version: i64) -> sqlx::Result<()> {
    query!(
        "INSERT INTO contacts (user_id, email, name, version) VALUES ($1, $2, $3, $4)
         ON CONFLICT (user_id) DO UPDATE SET email = excluded.email, name = excluded.name, version = excluded.version
         WHERE contacts.version < excluded.version",
        contact.id,
        &contact.email,
        &contact.name,
        version
    )
    .execute(tx)
    .await
    .map(drop)
}
