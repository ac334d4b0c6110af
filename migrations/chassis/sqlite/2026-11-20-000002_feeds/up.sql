-- What other processes keep in memory, in the order in which it became visible.
CREATE TABLE feed_entries (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    feed TEXT NOT NULL,
    entry TEXT NOT NULL,
    expires_at TIMESTAMP NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX feed_entries_page ON feed_entries (feed, position);
CREATE INDEX feed_entries_expired ON feed_entries (expires_at) WHERE expires_at IS NOT NULL;
