//! What the events of others mean for users. Everybody notes what is to be told; only the writer of record sends it.

use boxoffice_kit::{
    Connection, Event, Problem, async_trait, database::Flag, inbox::Module, query, query_as,
};
use serde::Deserialize;

use crate::{Notification, Row, tell};

/// What arrives from the bus.
pub struct Listener;

/// Whose it is, and what it is about: events of orders and of payments.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    user_id: i64,
    #[serde(flatten)]
    about: About,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
enum About {
    Order { id: i64, number: i64, total_cents: i64, expires_at: String },
    Payment { id: i64, amount_cents: i64 },
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
            "notification.sent" => store(tx, &event.data()?).await?,
            "user.registered" => meet(tx, &event.data()?, event.aggregate_version).await?,
            _ => store(tx, &note(event)?).await?,
        }
        Ok(())
    }

    async fn replay(&self, tx: &mut Connection, _: &str, offset: i64, limit: i64) -> Result<i64, Problem> {
        let sql = "SELECT * FROM notifications WHERE state = 'sent' ORDER BY id LIMIT $1 OFFSET $2";
        let rows: Vec<Row> = query_as!(sql, limit, offset).fetch_all(&mut *tx).await?;
        for row in &rows {
            tell(tx, row).await?;
        }
        Ok(i64::try_from(rows.len()).unwrap_or(limit))
    }
}

/// What is to be sent. By its id it is noted once, however often and by whomever it is heard.
fn note(event: &Event) -> Result<Row, Problem> {
    let Told { user_id, about } = event.data()?;
    let money = |cents: i64| format!("{}.{:02}", cents / 100, cents % 100);
    let (id, subject, body) = match about {
        About::Payment { id, amount_cents } => (
            format!("payment-{id}-refunded"),
            "Your payment is refunded".to_owned(),
            format!("{} are on their way back to you.", money(amount_cents)),
        ),
        About::Order { id, number, total_cents, expires_at } => {
            let what = event.kind.strip_prefix("order.").unwrap_or(&event.kind);
            let body = match what {
                "completed" => "Thank you. Your tickets are ready.".to_owned(),
                "cancelled" => "Your tickets were given back.".to_owned(),
                _ => format!("Please pay {} before {expires_at}.", money(total_cents)),
            };
            (format!("order-{id}-{what}"), format!("Order {number} is {what}"), body)
        }
    };
    let (kind, state) = (event.kind.clone(), "pending".to_owned());
    let created_at = format!("{:.6}", event.occurred_at);
    let notification = Notification { id, kind, subject, body, read: Flag(false), created_at };
    Ok(Row { user_id, notification, state, version: 1 })
}

/// Stores a row unless it is known as well or better.
async fn store(tx: &mut Connection, row: &Row) -> sqlx::Result<()> {
    let Notification { id, kind, subject, body, read, created_at } = &row.notification;
    query!(
        "INSERT INTO notifications (id, user_id, kind, subject, body, read, state, version, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (id) DO UPDATE SET subject = excluded.subject, body = excluded.body, read = excluded.read,
             state = excluded.state, version = excluded.version, created_at = excluded.created_at
         WHERE notifications.version < excluded.version",
        id,
        row.user_id,
        kind,
        subject,
        body,
        i64::from(read.0),
        &row.state,
        row.version,
        created_at
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
