-- The Box Office in one database. Money is integer cents; times are RFC 3339 in UTC; yes and no are 1 and 0.
-- No foreign keys between modules: once a module's rows come by events, they come in any order.

CREATE TABLE users (
    id            BIGINT PRIMARY KEY,
    email         TEXT NOT NULL UNIQUE,
    name          TEXT NOT NULL DEFAULT '',
    password_hash TEXT NOT NULL,
    version       BIGINT NOT NULL DEFAULT 1,
    created_at    TEXT NOT NULL
);

-- The session row of an old application: the cart and the token against forged forms are in it too.
CREATE TABLE sessions (
    token_hash TEXT PRIMARY KEY,
    user_id    BIGINT NOT NULL,
    csrf       TEXT NOT NULL DEFAULT '',
    cart       TEXT NOT NULL DEFAULT '[]',
    ended      BIGINT NOT NULL DEFAULT 0,
    version    BIGINT NOT NULL DEFAULT 1,
    created_at TEXT NOT NULL
);

-- Private keys (PKCS #8, in hexadecimal) that identities are signed with.
CREATE TABLE keys (
    id    BIGINT PRIMARY KEY,
    pkcs8 TEXT NOT NULL
);

-- The wide table of a monolith: catalog owns the columns before `capacity`, inventory the rest.
CREATE TABLE tickets (
    id            BIGINT PRIMARY KEY,
    title         TEXT NOT NULL,
    price_cents   BIGINT NOT NULL CHECK (price_cents >= 0),
    owner_id      BIGINT NOT NULL,
    views         BIGINT NOT NULL DEFAULT 0,
    deleted       BIGINT NOT NULL DEFAULT 0,
    version       BIGINT NOT NULL DEFAULT 1,
    created_at    TEXT NOT NULL,
    capacity      BIGINT NOT NULL CHECK (capacity >= 0),
    reserved      BIGINT NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    sold          BIGINT NOT NULL DEFAULT 0 CHECK (sold >= 0),
    stock_version BIGINT NOT NULL DEFAULT 0,
    CHECK (reserved + sold <= capacity)
);

CREATE TABLE reservations (
    order_id  BIGINT NOT NULL,
    ticket_id BIGINT NOT NULL,
    quantity  BIGINT NOT NULL CHECK (quantity > 0),
    state     TEXT NOT NULL CHECK (state IN ('held', 'sold', 'released')),
    PRIMARY KEY (order_id, ticket_id)
);

CREATE TABLE orders (
    id             BIGINT PRIMARY KEY,
    number         BIGINT NOT NULL UNIQUE,
    user_id        BIGINT NOT NULL,
    -- `awaiting_payment`, `complete`, `cancelled`; another one while a service that shares this database places the order.
    status         TEXT NOT NULL,
    subtotal_cents BIGINT NOT NULL,
    fee_cents      BIGINT NOT NULL,
    total_cents    BIGINT NOT NULL,
    version        BIGINT NOT NULL DEFAULT 1,
    created_at     TEXT NOT NULL,
    expires_at     TEXT NOT NULL
);
CREATE INDEX orders_of_user ON orders (user_id, id);
CREATE INDEX orders_to_expire ON orders (status, expires_at);

-- Title and price as they were when the order was placed.
CREATE TABLE order_items (
    order_id    BIGINT NOT NULL,
    position    BIGINT NOT NULL,
    ticket_id   BIGINT NOT NULL,
    title       TEXT NOT NULL,
    price_cents BIGINT NOT NULL,
    quantity    BIGINT NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (order_id, position)
);

-- Orders on their way in an orders service that shares this database.
CREATE TABLE placements (
    order_id   BIGINT PRIMARY KEY,
    created_at TEXT NOT NULL
);

CREATE TABLE payments (
    id              BIGINT PRIMARY KEY,
    order_id        BIGINT NOT NULL UNIQUE,
    user_id         BIGINT NOT NULL,
    idempotency_key TEXT NOT NULL,
    amount_cents    BIGINT NOT NULL,
    status          TEXT NOT NULL CHECK (status IN ('pending', 'failed', 'succeeded', 'refunded')),
    settled         BIGINT NOT NULL DEFAULT 0,
    refund_wanted   BIGINT NOT NULL DEFAULT 0,
    version         BIGINT NOT NULL DEFAULT 1,
    created_at      TEXT NOT NULL,
    UNIQUE (user_id, idempotency_key)
);

CREATE TABLE notifications (
    id         TEXT PRIMARY KEY,
    user_id    BIGINT NOT NULL,
    kind       TEXT NOT NULL,
    subject    TEXT NOT NULL,
    body       TEXT NOT NULL,
    read       BIGINT NOT NULL DEFAULT 0,
    state      TEXT NOT NULL CHECK (state IN ('pending', 'sent')),
    version    BIGINT NOT NULL DEFAULT 1,
    created_at TEXT NOT NULL
);
CREATE INDEX notifications_of_user ON notifications (user_id, created_at);

-- What bookkeeping reads: a query over four modules, as only one database can answer it.
CREATE VIEW sales_report AS
SELECT tickets.id AS ticket_id, tickets.title, tickets.capacity, tickets.sold,
       CAST(sum(order_items.quantity) AS BIGINT) AS paid,
       CAST(sum(order_items.quantity * order_items.price_cents) AS BIGINT) AS revenue_cents
FROM payments
JOIN orders ON orders.id = payments.order_id AND orders.status = 'complete'
JOIN order_items ON order_items.order_id = orders.id
JOIN tickets ON tickets.id = order_items.ticket_id
WHERE payments.status = 'succeeded'
GROUP BY tickets.id, tickets.title, tickets.capacity, tickets.sold;

INSERT INTO counters (name, value)
VALUES ('users', 0), ('tickets', 0), ('orders', 0), ('order_numbers', 0), ('payments', 0);
