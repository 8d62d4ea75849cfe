-- What must not be. One statement each, so that a count is of one moment; it is passed over where its tables are missing.

-- order numbers are missing:
SELECT coalesce(max(number), 0) - count(DISTINCT CASE WHEN number > 0 THEN number END) FROM orders

-- order numbers were given twice:
SELECT count(*) - count(DISTINCT number) FROM orders

-- orders have sums that do not follow from their lines:
SELECT count(*) FROM orders LEFT JOIN
    (SELECT order_id, sum(price_cents * quantity) AS subtotal FROM order_items GROUP BY order_id) AS lines
    ON lines.order_id = orders.id
    WHERE subtotal_cents <> coalesce(lines.subtotal, -1) OR total_cents <> subtotal_cents + fee_cents
    OR fee_cents <> CASE WHEN subtotal_cents < 2000 THEN 50 ELSE (subtotal_cents * 25 + 500) / 1000 END

-- tickets are oversold:
SELECT count(*) FROM tickets WHERE reserved < 0 OR sold < 0 OR reserved + sold > capacity

-- tickets are reserved or sold otherwise than their orders say:
SELECT count(*) FROM tickets LEFT JOIN
    (SELECT ticket_id, sum(CASE status WHEN 'awaiting_payment' THEN quantity ELSE 0 END) AS held,
    sum(CASE status WHEN 'complete' THEN quantity ELSE 0 END) AS gone
    FROM order_items JOIN orders ON orders.id = order_items.order_id GROUP BY ticket_id) AS wanted
    ON wanted.ticket_id = tickets.id
    WHERE reserved <> coalesce(held, 0) OR sold <> coalesce(gone, 0)

-- stocks are oversold:
SELECT count(*) FROM stock WHERE reserved < 0 OR sold < 0 OR reserved + sold > capacity

-- stocks are reserved or sold otherwise than their reservations say:
SELECT count(*) FROM stock LEFT JOIN
    (SELECT ticket_id, sum(CASE state WHEN 'held' THEN quantity ELSE 0 END) AS held,
    sum(CASE state WHEN 'sold' THEN quantity ELSE 0 END) AS gone
    FROM reservations GROUP BY ticket_id) AS wanted
    ON wanted.ticket_id = stock.ticket_id
    WHERE reserved <> coalesce(held, 0) OR sold <> coalesce(gone, 0)

-- orders are paid twice:
SELECT count(*) FROM (SELECT order_id FROM payments WHERE status = 'succeeded'
    GROUP BY order_id HAVING count(*) > 1) AS twice

-- idempotency keys made more than one payment:
SELECT count(*) FROM (SELECT 1 AS one FROM payments WHERE status IN ('succeeded', 'refunded')
    GROUP BY user_id, idempotency_key HAVING count(*) > 1) AS twice

-- orders are complete without a payment:
SELECT count(*) FROM orders WHERE status = 'complete' AND NOT EXISTS
    (SELECT 1 FROM payments WHERE payments.order_id = orders.id AND payments.status IN ('succeeded', 'refunded'))

-- paid orders are cancelled and not refunded:
SELECT count(*) FROM orders JOIN payments ON payments.order_id = orders.id
    WHERE orders.status = 'cancelled' AND payments.status = 'succeeded'

-- payments are not their order's total:
SELECT count(*) FROM orders JOIN payments ON payments.order_id = orders.id WHERE amount_cents <> total_cents
