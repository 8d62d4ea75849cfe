CREATE TABLE notes (
    id      BIGINT PRIMARY KEY,
    text    TEXT NOT NULL,
    version BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('notes', 0);
