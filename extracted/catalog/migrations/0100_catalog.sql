-- What is for sale and at which price, as far as the catalog decides it.
CREATE TABLE tickets (
    id          BIGINT PRIMARY KEY,
    title       TEXT NOT NULL,
    price_cents BIGINT NOT NULL CHECK (price_cents >= 0),
    owner_id    BIGINT NOT NULL,
    views       BIGINT NOT NULL DEFAULT 0,
    deleted     BIGINT NOT NULL DEFAULT 0,
    version     BIGINT NOT NULL DEFAULT 1,
    created_at  TEXT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('tickets', 0);

-- How many are left, as the inventory tells. A table of its own: its events may come before those of the ticket.
CREATE TABLE stock (
    ticket_id BIGINT PRIMARY KEY,
    capacity  BIGINT NOT NULL,
    reserved  BIGINT NOT NULL DEFAULT 0,
    sold      BIGINT NOT NULL DEFAULT 0,
    version   BIGINT NOT NULL DEFAULT 0
);

CREATE VIEW offers AS
SELECT tickets.*, stock.capacity,
       CASE WHEN stock.reserved + stock.sold < stock.capacity THEN 'on_sale' ELSE 'sold_out' END AS status
FROM tickets JOIN stock ON stock.ticket_id = tickets.id;
