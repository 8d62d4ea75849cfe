CREATE TABLE notifications (
    id         TEXT PRIMARY KEY, -- says of what it tells, such as `order-17-created`
    user_id    BIGINT NOT NULL,
    kind       TEXT NOT NULL,
    subject    TEXT NOT NULL,
    body       TEXT NOT NULL,
    read       BIGINT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('pending', 'sent')),
    version    BIGINT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE INDEX notifications_of_user ON notifications (user_id, created_at);
CREATE INDEX notifications_pending ON notifications (created_at) WHERE state = 'pending';

-- Who users are, as far as was heard.
CREATE TABLE contacts (
    user_id BIGINT PRIMARY KEY,
    email   TEXT NOT NULL,
    name    TEXT NOT NULL,
    version BIGINT NOT NULL
);
