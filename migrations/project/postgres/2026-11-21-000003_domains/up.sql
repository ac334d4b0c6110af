-- Domains that accounts say are theirs. Any number may say so of one; at most one has shown it.
CREATE TABLE domains (
    environment_id TEXT COLLATE "C" NOT NULL REFERENCES environments (id),
    domain TEXT COLLATE "C" NOT NULL,
    account_id TEXT NOT NULL,
    -- What proves it where its owner puts it: meant to be read by everybody there.
    proof TEXT NOT NULL,
    status TEXT NOT NULL,
    method TEXT,
    problem TEXT,
    created_at TIMESTAMP NOT NULL,
    checked_at TIMESTAMP,
    verified_at TIMESTAMP,
    failing_since TIMESTAMP,
    next_check_at TIMESTAMP NOT NULL,
    PRIMARY KEY (environment_id, domain)
);
CREATE UNIQUE INDEX domains_verified ON domains (domain) WHERE status = 'verified';
CREATE INDEX domains_due ON domains (next_check_at) WHERE status = 'verified';

-- One row per domain for ever, so that the versions told of a domain never start anew.
CREATE TABLE domain_versions (
    domain TEXT PRIMARY KEY NOT NULL,
    version BIGINT NOT NULL
);
