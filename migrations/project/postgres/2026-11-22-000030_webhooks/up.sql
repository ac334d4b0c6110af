-- Addresses that accounts have their events told to.
CREATE TABLE webhooks (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL,
    url TEXT NOT NULL,
    description TEXT,
    -- A list as JSON: types, and beginnings of types.
    event_types TEXT NOT NULL,
    sealed_secret BYTEA NOT NULL,
    -- The secret before, for as long as it signs too.
    sealed_previous BYTEA,
    previous_until TIMESTAMP,
    status TEXT NOT NULL,
    failing_since TIMESTAMP,
    paused_until TIMESTAMP,
    last_success_at TIMESTAMP,
    last_taken_at TIMESTAMP NOT NULL,
    -- How many events weren't kept for it, since too many waited.
    dropped BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created_by TEXT,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
CREATE INDEX webhooks_of_account ON webhooks (account_id, id);

-- One event for one webhook. The row is the job: it is due at next_attempt_at, which is the end of the
-- lease while somebody has it in hand.
CREATE TABLE webhook_deliveries (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    webhook_id TEXT COLLATE "C" NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    account_id TEXT NOT NULL,
    -- The same each time that it is sent: by it a receiver knows it again.
    message_id TEXT COLLATE "C" NOT NULL,
    event_type TEXT NOT NULL,
    payload TEXT NOT NULL,
    status TEXT NOT NULL,
    -- In all, and since it was last put into the queue.
    attempts INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    next_attempt_at TIMESTAMP,
    lease_owner TEXT,
    response_status INTEGER,
    response_body TEXT,
    problem TEXT,
    duration_ms BIGINT,
    last_attempt_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP,
    UNIQUE (webhook_id, message_id)
);
CREATE INDEX webhook_deliveries_of_webhook ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_attempt_at) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (webhook_id, next_attempt_at) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_over ON webhook_deliveries (finished_at) WHERE status <> 'pending';
