//! What others tell. Everybody stores it; only the writer of orders acts on it, and who takes over acts on what is left.

use boxoffice_kit::{Connection, Event, Problem, async_trait, inbox::Module, publish, query, scalar, writer};
use serde::Deserialize;

use crate::{order::Placed, repository};

/// `payment.refunded` ends the asking for a refund.
const LISTENS: [&str; 8] = [
    "order.created",
    "order.completed",
    "order.cancelled",
    "ticket.created",
    "ticket.updated",
    "payment.created",
    "payment.refunded",
    "expiration.complete",
];

/// Listens to nothing on the monolith's database: there the monolith does.
pub(crate) struct Listener {
    pub(crate) shared: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ticket {
    id: i64,
    title: String,
    price_cents: i64,
    deleted: bool,
    version: i64,
}

#[derive(Deserialize)]
struct Paid {
    payment: Payment,
    version: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payment {
    order_id: i64,
    status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Expired {
    order_id: i64,
}

#[async_trait]
impl Module for Listener {
    fn listens(&self) -> &'static [&'static str] {
        if self.shared { &[] } else { &LISTENS }
    }

    async fn handle(&self, tx: &mut Connection, event: &Event) -> Result<(), Problem> {
        if event.kind.starts_with("ticket.") {
            return store_ticket(tx, event.data()?).await;
        }
        let here = writer::is_here(tx, "orders").await?;
        let order_id = match event.kind.as_str() {
            "payment.created" | "payment.refunded" => store_payment(tx, event.data()?).await?,
            "expiration.complete" => store_expiration(tx, event.data()?).await?,
            _ => return store_order(tx, &event.data()?).await,
        };
        if here { act(tx, order_id, order_id).await } else { Ok(()) }
    }

    async fn take_over(&self, tx: &mut Connection, _module: &str) -> Result<(), Problem> {
        act(tx, 0, i64::MAX).await
    }

    async fn replay(&self, tx: &mut Connection, _: &str, offset: i64, limit: i64) -> Result<i64, Problem> {
        let mut rows = 0;
        for placed in repository::all(tx, offset, limit).await? {
            tell(tx, &placed).await?;
            rows += 1;
        }
        Ok(rows)
    }
}

async fn store_ticket(tx: &mut Connection, ticket: Ticket) -> Result<(), Problem> {
    let Ticket { id, title, price_cents, deleted, version } = ticket;
    let sql = "INSERT INTO tickets (id, title, price_cents, deleted, version) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (id) DO UPDATE SET title = excluded.title, price_cents = excluded.price_cents,
                                              deleted = excluded.deleted, version = excluded.version
               WHERE tickets.version < excluded.version";
    query!(sql, id, title, price_cents, i64::from(deleted), version).execute(tx).await?;
    Ok(())
}

async fn store_payment(tx: &mut Connection, paid: Paid) -> Result<i64, Problem> {
    let Paid { payment: Payment { order_id, status }, version } = paid;
    let sql = "INSERT INTO payments (order_id, status, version) VALUES ($1, $2, $3)
               ON CONFLICT (order_id) DO UPDATE SET status = excluded.status, version = excluded.version
               WHERE payments.version < excluded.version";
    query!(sql, order_id, status, version).execute(tx).await?;
    Ok(order_id)
}

async fn store_expiration(tx: &mut Connection, Expired { order_id }: Expired) -> Result<i64, Problem> {
    let sql = "INSERT INTO expirations (order_id) VALUES ($1) ON CONFLICT (order_id) DO NOTHING";
    query!(sql, order_id).execute(tx).await?;
    Ok(order_id)
}

/// The counters follow, so that a dry run here answers as the writer would.
async fn store_order(tx: &mut Connection, placed: &Placed) -> Result<(), Problem> {
    repository::store(tx, placed).await?;
    for (counter, given) in [("orders", placed.order.id), ("order_numbers", placed.order.number)] {
        let sql = "UPDATE counters SET value = $1 WHERE name = $2 AND value < $1";
        query!(sql, given, counter).execute(&mut *tx).await?;
    }
    Ok(())
}

/// What is paid is complete, or its money goes back when it was cancelled before; what is open beyond its time is
/// cancelled. Paid ones first: time takes no order from somebody who paid.
async fn act(tx: &mut Connection, first: i64, last: i64) -> Result<(), Problem> {
    let paid = "SELECT orders.id FROM orders JOIN payments ON payments.order_id = orders.id
                WHERE payments.status = 'succeeded' AND orders.status <> 'complete'
                AND orders.id BETWEEN $1 AND $2 ORDER BY orders.id";
    let paid: Vec<i64> = scalar!(paid, first, last).fetch_all(&mut *tx).await?;
    for id in paid {
        if !end(tx, id, "complete").await?
            && let Some(placed) = repository::get(tx, id).await?
        {
            publish(tx, "order.refund_requested", about(&placed), &placed).await?;
        }
    }
    let expired = "SELECT orders.id FROM orders JOIN expirations ON expirations.order_id = orders.id
                   WHERE orders.status = 'awaiting_payment' AND orders.id BETWEEN $1 AND $2 ORDER BY orders.id";
    let expired: Vec<i64> = scalar!(expired, first, last).fetch_all(&mut *tx).await?;
    for id in expired {
        end(tx, id, "cancelled").await?;
    }
    Ok(())
}

/// Ends an open order and tells of it: whether it was open.
pub(crate) async fn end(tx: &mut Connection, id: i64, status: &str) -> Result<bool, Problem> {
    let Some(placed) = repository::end(tx, id, status).await? else { return Ok(false) };
    tell(tx, &placed).await?;
    Ok(true)
}

/// Publishes an order as it is.
pub(crate) async fn tell(tx: &mut Connection, placed: &Placed) -> Result<(), Problem> {
    let kind = match placed.order.status.as_str() {
        "complete" => "order.completed",
        "cancelled" => "order.cancelled",
        _ => "order.created",
    };
    publish(tx, kind, about(placed), placed).await
}

fn about(placed: &Placed) -> (String, i64) {
    (format!("order-{}", placed.order.id), placed.order.version)
}
