-- Mail on its way out, written in the transaction of what it tells.
CREATE TABLE letters (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    recipient TEXT NOT NULL,
    -- what stands in it, links and codes, under the master key; nothing once it has gone out
    sealed BYTEA,
    -- `waiting`, `sent`, `kept`, `given_up`
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    -- when it is tried next; while one has it in hand, when another may take it
    due_at TIMESTAMP NOT NULL,
    -- why the last attempt failed, without address or content
    failure TEXT,
    created_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP
);
CREATE INDEX letters_due_at ON letters (state, due_at);

-- Wishes for a new password, by an address that may be nobody's: who it is, is looked up later, so
-- that asking takes the same time for all.
CREATE TABLE reset_requests (
    id TEXT NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    actor_type TEXT NOT NULL,
    provider TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
);

-- How many letters somebody had sent within an hour. The subject is a digest.
CREATE TABLE letter_counts (
    subject TEXT NOT NULL PRIMARY KEY,
    since TIMESTAMP NOT NULL,
    count BIGINT NOT NULL
);
CREATE INDEX letter_counts_since ON letter_counts (since);
