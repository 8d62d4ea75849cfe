-- What must not be. Each: what is counted, then the columns it needs. One statement each, so that a count is of one moment.

-- order numbers are missing: orders.number
SELECT coalesce(max(number), 0) - count(DISTINCT CASE WHEN number > 0 THEN number END) FROM orders

-- order numbers were given twice: orders.number
SELECT count(*) - count(DISTINCT number) FROM orders

-- orders have sums that do not follow from their lines: orders.subtotal_cents order_items.price_cents
SELECT count(*) FROM orders LEFT JOIN
    (SELECT order_id, sum(price_cents * quantity) AS subtotal FROM order_items GROUP BY order_id) AS lines
    ON lines.order_id = orders.id
    WHERE subtotal_cents <> coalesce(lines.subtotal, -1) OR total_cents <> subtotal_cents + fee_cents
    OR fee_cents <> CASE WHEN subtotal_cents < 2000 THEN 50 ELSE (subtotal_cents * 25 + 500) / 1000 END

-- tickets are oversold: tickets.reserved
SELECT count(*) FROM tickets WHERE reserved < 0 OR sold < 0 OR reserved + sold > capacity

-- tickets are reserved or sold otherwise than their orders say: tickets.reserved orders.number order_items.ticket_id
SELECT count(*) FROM tickets LEFT JOIN
    (SELECT ticket_id, sum(CASE status WHEN 'awaiting_payment' THEN quantity ELSE 0 END) AS held,
    sum(CASE status WHEN 'complete' THEN quantity ELSE 0 END) AS gone
    FROM order_items JOIN orders ON orders.id = order_items.order_id GROUP BY ticket_id) AS wanted
    ON wanted.ticket_id = tickets.id
    WHERE reserved <> coalesce(held, 0) OR sold <> coalesce(gone, 0)

-- stocks are oversold: stock.reserved
SELECT count(*) FROM stock WHERE reserved < 0 OR sold < 0 OR reserved + sold > capacity

-- stocks are reserved or sold otherwise than their reservations say: stock.reserved reservations.state
SELECT count(*) FROM stock LEFT JOIN
    (SELECT ticket_id, sum(CASE state WHEN 'held' THEN quantity ELSE 0 END) AS held,
    sum(CASE state WHEN 'sold' THEN quantity ELSE 0 END) AS gone
    FROM reservations GROUP BY ticket_id) AS wanted
    ON wanted.ticket_id = stock.ticket_id
    WHERE reserved <> coalesce(held, 0) OR sold <> coalesce(gone, 0)

-- orders are paid twice: payments.order_id
SELECT count(*) FROM (SELECT order_id FROM payments WHERE status = 'succeeded'
    GROUP BY order_id HAVING count(*) > 1) AS twice

-- idempotency keys made more than one payment: payments.idempotency_key
SELECT count(*) FROM (SELECT 1 AS one FROM payments WHERE status IN ('succeeded', 'refunded')
    GROUP BY user_id, idempotency_key HAVING count(*) > 1) AS twice

-- orders are complete without a payment: payments.order_id orders.number
SELECT count(*) FROM orders WHERE status = 'complete' AND NOT EXISTS
    (SELECT 1 FROM payments WHERE payments.order_id = orders.id AND payments.status IN ('succeeded', 'refunded'))

-- paid orders are cancelled and not refunded: payments.order_id orders.number
SELECT count(*) FROM orders JOIN payments ON payments.order_id = orders.id
    WHERE orders.status = 'cancelled' AND payments.status = 'succeeded'

-- payments are not their order's total: payments.amount_cents orders.number
SELECT count(*) FROM orders JOIN payments ON payments.order_id = orders.id WHERE amount_cents <> total_cents
