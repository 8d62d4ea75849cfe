CREATE TABLE orders (id BIGINT, number BIGINT, status TEXT, subtotal_cents BIGINT, fee_cents BIGINT, total_cents BIGINT);
CREATE TABLE order_items (order_id BIGINT, ticket_id BIGINT, price_cents BIGINT, quantity BIGINT);
CREATE TABLE tickets (id BIGINT, capacity BIGINT, reserved BIGINT, sold BIGINT);
CREATE TABLE stock (ticket_id BIGINT, capacity BIGINT, reserved BIGINT, sold BIGINT);
CREATE TABLE reservations (order_id BIGINT, ticket_id BIGINT, quantity BIGINT, state TEXT);
CREATE TABLE payments (id BIGINT, order_id BIGINT, user_id BIGINT, idempotency_key TEXT, amount_cents BIGINT, status TEXT);
-- Numbers 1, 2, 2, 4, 5, 6: one missing, one twice. Order 6 has a wrong fee.
INSERT INTO orders VALUES (1, 1, 'complete', 10000, 250, 10250), (2, 2, 'complete', 1000, 50, 1050),
    (3, 2, 'cancelled', 1000, 50, 1050), (4, 4, 'awaiting_payment', 1000, 50, 1050),
    (5, 5, 'complete', 1000, 50, 1050), (6, 6, 'cancelled', 1000, 51, 1051);
INSERT INTO order_items VALUES (1, 1, 5000, 2), (2, 1, 1000, 1), (3, 1, 1000, 1), (4, 2, 1000, 1), (5, 2, 1000, 1), (6, 2, 1000, 1);
-- Order 1 is paid twice; order 2 never; order 3 was cancelled all the same; order 5 was paid in part; one key was good for two.
INSERT INTO payments VALUES (1, 1, 1, 'a', 10250, 'succeeded'), (2, 1, 1, 'b', 10250, 'succeeded'),
    (3, 3, 2, 'c', 1050, 'succeeded'), (4, 5, 3, 'd', 1000, 'succeeded'), (5, 6, 3, 'd', 1051, 'refunded');
INSERT INTO tickets VALUES (1, 2, 0, 3), (2, 9, 1, 2);
INSERT INTO stock VALUES (1, 2, 0, 3), (2, 9, 1, 2);
INSERT INTO reservations VALUES (1, 1, 2, 'sold'), (2, 1, 1, 'sold'), (3, 1, 1, 'released'), (4, 2, 1, 'held'), (5, 2, 1, 'sold');
