-- How much a user may call, or each caller of a service, as a JSON list. Those of a key stand with it.
CREATE TABLE quota_limits (
    subject TEXT PRIMARY KEY,
    limits TEXT NOT NULL,
    version BIGINT NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    seq BIGINT NOT NULL
);
CREATE INDEX quota_limits_seq ON quota_limits (seq);

-- What of a quota has been handed out in its present window (seconds since the epoch), whether it has
-- been used yet or not.
CREATE TABLE quota_windows (
    subject TEXT NOT NULL,
    period TEXT NOT NULL,
    starts BIGINT NOT NULL,
    ends BIGINT NOT NULL,
    used BIGINT NOT NULL,
    PRIMARY KEY (subject, period)
);
CREATE INDEX quota_windows_ends ON quota_windows (ends);

-- What of that each process held unused when it last told.
CREATE TABLE quota_shares (
    subject TEXT NOT NULL,
    period TEXT NOT NULL,
    process TEXT NOT NULL,
    starts BIGINT NOT NULL,
    held BIGINT NOT NULL,
    PRIMARY KEY (subject, period, process)
);
CREATE INDEX quota_shares_process ON quota_shares (process);

-- Until when a process may use what it holds. Afterwards others take that back.
CREATE TABLE quota_processes (
    process TEXT PRIMARY KEY,
    ends_at TIMESTAMP NOT NULL
);
