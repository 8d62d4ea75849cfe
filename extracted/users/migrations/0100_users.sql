CREATE TABLE users (
    id            BIGINT PRIMARY KEY,
    email         TEXT NOT NULL UNIQUE,
    name          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    version       BIGINT NOT NULL,
    created_at    TEXT NOT NULL
);

-- No foreign key: as a replica, a session may come before its user.
CREATE TABLE sessions (
    token_hash TEXT PRIMARY KEY,
    user_id    BIGINT NOT NULL,
    ended      BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    created_at TEXT NOT NULL
);

-- The private key (PKCS #8, in hexadecimal) that identities are signed with.
CREATE TABLE keys (
    id    BIGINT PRIMARY KEY,
    pkcs8 TEXT NOT NULL
);

INSERT INTO counters (name, value) VALUES ('users', 0);
