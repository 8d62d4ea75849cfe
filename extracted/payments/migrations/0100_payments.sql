-- Only what was charged. UNIQUE: never twice for an order, and a key of a buyer means one payment.
CREATE TABLE payments (
    id              BIGINT PRIMARY KEY,
    order_id        BIGINT NOT NULL UNIQUE,
    user_id         BIGINT NOT NULL,
    idempotency_key TEXT NOT NULL,
    amount_cents    BIGINT NOT NULL,
    status          TEXT NOT NULL CHECK (status IN ('succeeded', 'refunded')),
    settled         BIGINT NOT NULL DEFAULT 0,
    version         BIGINT NOT NULL DEFAULT 1,
    created_at      TEXT NOT NULL,
    UNIQUE (user_id, idempotency_key)
);
INSERT INTO counters (name, value) VALUES ('payments', 0);

-- Charges on their way: who finds one here does not charge beside it. Seconds since 1970.
CREATE TABLE attempts (
    order_id        BIGINT PRIMARY KEY,
    user_id         BIGINT NOT NULL,
    idempotency_key TEXT NOT NULL,
    since           BIGINT NOT NULL
);

-- Orders as their writer tells of them.
CREATE TABLE orders (
    order_id    BIGINT PRIMARY KEY,
    user_id     BIGINT NOT NULL,
    total_cents BIGINT NOT NULL,
    status      TEXT NOT NULL,
    version     BIGINT NOT NULL
);

-- What an event tells. The money of an order that is cancelled is to go back.
CREATE VIEW known_payments AS
SELECT payments.*, CASE WHEN orders.status = 'cancelled' THEN 1 ELSE 0 END AS refund_wanted
FROM payments LEFT JOIN orders ON orders.order_id = payments.order_id;
