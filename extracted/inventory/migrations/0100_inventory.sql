-- How many there are of a ticket, held for open orders, and sold. Nothing is ever sold twice.
CREATE TABLE stock (
    ticket_id BIGINT PRIMARY KEY,
    capacity  BIGINT NOT NULL CHECK (capacity >= 0),
    reserved  BIGINT NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    sold      BIGINT NOT NULL DEFAULT 0 CHECK (sold >= 0),
    version   BIGINT NOT NULL DEFAULT 0, -- 0 until who writes it has told of it
    deleted   BIGINT NOT NULL DEFAULT 0, -- by the catalog: no longer on sale
    CHECK (reserved + sold <= capacity)
);

CREATE TABLE reservations (
    order_id  BIGINT NOT NULL,
    ticket_id BIGINT NOT NULL,
    quantity  BIGINT NOT NULL CHECK (quantity > 0),
    state     TEXT NOT NULL CHECK (state IN ('held', 'sold', 'released')),
    PRIMARY KEY (order_id, ticket_id)
);

-- How orders ended: known before, or while, somebody else writes the rows above.
CREATE TABLE settlements (
    order_id BIGINT PRIMARY KEY,
    outcome  TEXT NOT NULL CHECK (outcome IN ('sold', 'released'))
);

-- What an event tells: the stock of a ticket, beside each of its reservations.
CREATE VIEW stock_of_orders AS
SELECT stock.*, reservations.order_id, reservations.quantity, reservations.state
FROM stock LEFT JOIN reservations ON reservations.ticket_id = stock.ticket_id;
