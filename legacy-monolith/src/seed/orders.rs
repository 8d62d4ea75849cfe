//! A past: orders that are complete or cancelled, so that none expires, and all that goes with them.

use boxoffice_kit::{Connection, query, scalar, sqlx};

/// Lines never take the scarce tickets, whose numbers are multiples of 50. What follows is derived from these two.
const ORDERS: &str = "
    INSERT INTO orders (id, number, user_id, status, subtotal_cents, fee_cents, total_cents, version, created_at, expires_at)
    WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $1)
    SELECT i, i, 1 + i % 500, CASE WHEN i % 5 < 3 THEN 'complete' ELSE 'cancelled' END, 0, 0, 0, 2,
           '2026-06-' || (10 + i % 20) || 'T' || (10 + i % 13) || ':00:00.000000Z',
           '2026-06-' || (10 + i % 20) || 'T' || (10 + i % 13) || ':15:00.000000Z'
    FROM n";
const ITEMS: &str = "
    INSERT INTO order_items (order_id, position, ticket_id, title, price_cents, quantity)
    SELECT lines.id, lines.position, tickets.id, title, price_cents, 1 + lines.id % 3
    FROM (SELECT id, 1 AS position, 1 + id * 7 % 49 + 50 * (id % 4) AS ticket_id FROM orders
          UNION ALL
          SELECT id, 2, 1 + id * 11 % 49 + 50 * ((id + 1) % 4) FROM orders WHERE id % 3 = 0) AS lines
    JOIN tickets ON tickets.id = lines.ticket_id";

/// In this order, each after what it is derived from.
const REST: [&str; 8] = [
    "UPDATE orders SET subtotal_cents =
         (SELECT CAST(sum(price_cents * quantity) AS BIGINT) FROM order_items WHERE order_id = orders.id)",
    "UPDATE orders SET fee_cents =
         CASE WHEN subtotal_cents < 2000 THEN 50 ELSE (subtotal_cents * 25 + 500) / 1000 END",
    "UPDATE orders SET total_cents = subtotal_cents + fee_cents",
    "INSERT INTO payments (id, order_id, user_id, idempotency_key, amount_cents, status, settled, version, created_at)
     SELECT id, id, user_id, 'seed-' || id, total_cents, 'succeeded', id % 2, 1 + id % 2, created_at
     FROM orders WHERE status = 'complete'",
    "INSERT INTO reservations (order_id, ticket_id, quantity, state)
     SELECT order_id, ticket_id, quantity, CASE WHEN status = 'complete' THEN 'sold' ELSE 'released' END
     FROM order_items JOIN orders ON orders.id = order_id",
    "UPDATE tickets SET stock_version = stock_version + 1, sold = sold +
         (SELECT CAST(coalesce(sum(quantity), 0) AS BIGINT) FROM reservations
          WHERE ticket_id = tickets.id AND state = 'sold')
     WHERE id IN (SELECT ticket_id FROM reservations)",
    "INSERT INTO notifications (id, user_id, kind, subject, body, read, state, version, created_at)
     SELECT 'order-' || id || '-' || what, user_id, 'order.' || what, 'Order ' || number || ' is ' || what, '',
            id % 2, 'sent', 2 + id % 2, created_at
     FROM (SELECT orders.*, 'created' AS what FROM orders
           UNION ALL
           SELECT orders.*, CASE WHEN status = 'complete' THEN 'completed' ELSE status END FROM orders) AS told",
    "UPDATE counters SET value = (SELECT max(id) FROM orders) WHERE name IN ('orders', 'order_numbers', 'payments')",
];

/// Writes the orders 1 to `count`, unless there are any.
pub(super) async fn insert(connection: &mut Connection, count: i64) -> sqlx::Result<()> {
    let there: i64 = scalar!("SELECT count(*) FROM orders").fetch_one(&mut *connection).await?;
    if there == 0 && count > 0 {
        query!(ORDERS, count).execute(&mut *connection).await?;
        for sql in [ITEMS].into_iter().chain(REST) {
            query!(sql).execute(&mut *connection).await?;
        }
    }
    Ok(())
}
