-- One row for every order that was ever told of. A closed one stays: `order.created` may come late.
CREATE TABLE timers (
    order_id BIGINT PRIMARY KEY,
    due_at   BIGINT NOT NULL, -- when to tell (again), in milliseconds since 1970: text does not sort by time
    told     BIGINT NOT NULL, -- how often it was
    closed   BIGINT NOT NULL
);
CREATE INDEX timers_due ON timers (due_at) WHERE closed = 0;
