-- What GitHub has delivered, as far as it concerns an account. The digest is that of event and body:
-- a signature doesn't cover the delivery's name, so that somebody could send a body again under
-- another one.
CREATE TABLE deliveries (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    event TEXT NOT NULL,
    action TEXT,
    installation_id BIGINT NOT NULL,
    repository TEXT,
    branch TEXT,
    commit_id TEXT,
    content TEXT NOT NULL,
    received_at TIMESTAMP NOT NULL
);
CREATE INDEX deliveries_by_time ON deliveries (received_at);

-- What came of a delivery for each account that it concerns.
CREATE TABLE outcomes (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    delivery_id TEXT COLLATE "C" NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    account_id TEXT COLLATE "C" NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    builds TEXT NOT NULL,
    run INTEGER NOT NULL,
    finished_at TIMESTAMP,
    UNIQUE (delivery_id, account_id)
);
CREATE INDEX outcomes_by_account ON outcomes (account_id, id DESC);
