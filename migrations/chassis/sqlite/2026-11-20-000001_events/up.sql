-- Events on their way out. A row goes once the bus has taken it, so the table stays small.
CREATE TABLE outbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    version BIGINT NOT NULL,
    envelope TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    -- Until then a relay has it in hand, or waits before it tries again.
    claimed_until TIMESTAMP NULL,
    attempts BIGINT NOT NULL DEFAULT 0
);

-- Events that came in, one row per handler: the queue that the handlers work off.
CREATE TABLE inbox (
    event_id TEXT NOT NULL,
    handler TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    version BIGINT NOT NULL,
    envelope TEXT NOT NULL,
    received_at TIMESTAMP NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'done', 'dead')),
    attempts BIGINT NOT NULL DEFAULT 0,
    next_attempt_at TIMESTAMP NOT NULL,
    last_error TEXT NULL,
    PRIMARY KEY (event_id, handler)
);
CREATE INDEX inbox_due ON inbox (next_attempt_at, event_id) WHERE state = 'pending';
CREATE INDEX inbox_over ON inbox (state, received_at) WHERE state <> 'pending';

-- The last version of each aggregate that a handler has applied.
CREATE TABLE applied_versions (
    handler TEXT NOT NULL,
    subject TEXT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (handler, subject)
);
