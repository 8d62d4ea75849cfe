-- Columns are named as in the monolith, so that the same statements work on its database too.

CREATE TABLE orders (
    id             BIGINT PRIMARY KEY,
    number         BIGINT NOT NULL UNIQUE,
    user_id        BIGINT NOT NULL,
    status         TEXT NOT NULL CHECK (status IN ('awaiting_payment', 'complete', 'cancelled')),
    subtotal_cents BIGINT NOT NULL,
    fee_cents      BIGINT NOT NULL,
    total_cents    BIGINT NOT NULL,
    version        BIGINT NOT NULL,
    created_at     TEXT NOT NULL,
    expires_at     TEXT NOT NULL
);
CREATE INDEX orders_of_user ON orders (user_id, id);

-- Title and price as they were when the order was placed.
CREATE TABLE order_items (
    order_id    BIGINT NOT NULL,
    position    BIGINT NOT NULL,
    ticket_id   BIGINT NOT NULL,
    title       TEXT NOT NULL,
    price_cents BIGINT NOT NULL,
    quantity    BIGINT NOT NULL,
    PRIMARY KEY (order_id, position)
);

-- Orders on their way: something may be reserved that no order accounts for yet. No time means: release it.
CREATE TABLE placements (
    order_id   BIGINT PRIMARY KEY,
    created_at TEXT NOT NULL
);

-- The catalog's tickets, by events.
CREATE TABLE tickets (
    id          BIGINT PRIMARY KEY,
    title       TEXT NOT NULL,
    price_cents BIGINT NOT NULL,
    deleted     BIGINT NOT NULL,
    version     BIGINT NOT NULL
);

-- What others said of an order, which may not have arrived yet. No foreign keys: events come in any order.
CREATE TABLE payments (
    order_id BIGINT PRIMARY KEY,
    status   TEXT NOT NULL,
    version  BIGINT NOT NULL
);

CREATE TABLE expirations (
    order_id BIGINT PRIMARY KEY
);

INSERT INTO counters (name, value) VALUES ('orders', 0), ('order_numbers', 0);
