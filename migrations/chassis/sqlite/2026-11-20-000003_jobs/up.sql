-- Long work, with a lease for whoever does it.
CREATE TABLE jobs (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    job_key TEXT NOT NULL,
    group_key TEXT NULL,
    payload TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'superseded')),
    run_at TIMESTAMP NOT NULL,
    lease_until TIMESTAMP NULL,
    lease_owner TEXT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    cancel_requested BOOLEAN NOT NULL DEFAULT 0,
    last_error TEXT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    UNIQUE (kind, job_key)
);
-- The database itself holds that at most one job of a group runs.
CREATE UNIQUE INDEX jobs_one_running ON jobs (kind, group_key) WHERE state = 'running' AND group_key IS NOT NULL;
CREATE INDEX jobs_queued ON jobs (kind, run_at, id) WHERE state = 'queued';
CREATE INDEX jobs_queued_in_group ON jobs (kind, group_key) WHERE state = 'queued';
CREATE INDEX jobs_running ON jobs (kind, lease_until) WHERE state = 'running';
CREATE INDEX jobs_over ON jobs (updated_at) WHERE state IN ('done', 'failed', 'cancelled', 'superseded');
