-- What every database of the shop has beside its own tables. BIGINT and TEXT only: SQLite and PostgreSQL read the same file.

CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('outbox', 0);

-- Who writes a module's rows: `replica`, `taking`, `here` or `given`.
CREATE TABLE writers (
    module TEXT PRIMARY KEY,
    state  TEXT NOT NULL
);

-- Written in the transaction of the change it tells of; positions have no gaps and grow with the commits.
CREATE TABLE outbox (
    position BIGINT PRIMARY KEY,
    subject  TEXT NOT NULL,
    body     TEXT NOT NULL
);

-- How far each subscriber has got in the outbox.
CREATE TABLE deliveries (
    subscriber TEXT PRIMARY KEY,
    position   BIGINT NOT NULL
);

-- Events that were handled, in the transaction of what they changed.
CREATE TABLE inbox (
    id TEXT PRIMARY KEY
);

CREATE TABLE inbox_tries (
    id    TEXT PRIMARY KEY,
    tries BIGINT NOT NULL
);

CREATE TABLE dead_letters (
    id     TEXT PRIMARY KEY,
    body   TEXT NOT NULL,
    reason TEXT NOT NULL
);
