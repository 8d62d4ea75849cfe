//! What the shop's database itself says: the check that needs no API.

use std::path::Path;

use serde::Serialize;
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};

/// Counts of what is there and of what must not be.
#[derive(Debug, Serialize, sqlx::FromRow)]
pub struct Audit {
    /// Orders in the database.
    pub orders: i64,
    /// Where the counter stands: the number given last.
    pub last_number: i64,
    /// Numbers between 1 and the last that no order has.
    pub gaps: i64,
    /// Tickets with more reserved and sold than there are.
    pub oversold: i64,
    /// Tickets whose reserved count is not what their open orders hold.
    pub misreserved: i64,
    /// Orders whose sums do not follow from their lines.
    pub missummed: i64,
}

/// One statement, so that all counts are of one moment even under load.
const AUDIT: &str = "
SELECT
    (SELECT count(*) FROM orders) AS orders,
    (SELECT value FROM counters WHERE name = 'order_numbers') AS last_number,
    (SELECT value FROM counters WHERE name = 'order_numbers')
        - (SELECT count(DISTINCT number) FROM orders
           WHERE number BETWEEN 1 AND (SELECT value FROM counters WHERE name = 'order_numbers')) AS gaps,
    (SELECT count(*) FROM tickets WHERE reserved + sold > capacity) AS oversold,
    (SELECT count(*) FROM tickets LEFT JOIN
        (SELECT ticket_id, sum(quantity) AS held FROM order_items
         JOIN orders ON orders.id = order_id AND status = 'awaiting_payment' GROUP BY ticket_id) AS open
        ON open.ticket_id = tickets.id
     WHERE tickets.reserved <> coalesce(open.held, 0)) AS misreserved,
    (SELECT count(*) FROM orders LEFT JOIN
        (SELECT order_id, sum(price_cents * quantity) AS subtotal FROM order_items GROUP BY order_id) AS lines
        ON lines.order_id = orders.id
     WHERE subtotal_cents <> coalesce(lines.subtotal, -1)
        OR fee_cents <> max((subtotal_cents * 25 + 500) / 1000, 50)
        OR total_cents <> subtotal_cents + fee_cents) AS missummed";

/// Looks into the file, changing nothing.
pub async fn audit(file: &Path) -> Result<Audit, sqlx::Error> {
    let mut connection = SqliteConnectOptions::new().filename(file).read_only(true).connect().await?;
    sqlx::query_as(AUDIT).fetch_one(&mut connection).await
}

impl Audit {
    /// What must not be, in words.
    pub fn problems(&self) -> Vec<String> {
        let table = [
            (self.gaps, "order numbers are missing"),
            (self.orders - self.last_number, "orders more than numbers given"),
            (self.oversold, "tickets are oversold"),
            (self.misreserved, "tickets have a reserved count that their open orders do not explain"),
            (self.missummed, "orders have sums that do not follow from their lines"),
        ];
        table.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect()
    }
}
