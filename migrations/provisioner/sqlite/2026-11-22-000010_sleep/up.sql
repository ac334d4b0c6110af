-- After how many seconds without a request an app is put to sleep; never where there is none.
ALTER TABLE deployments ADD COLUMN sleep_after BIGINT;
-- awake, asleep, or waking
ALTER TABLE deployments ADD COLUMN rest TEXT NOT NULL DEFAULT 'awake';
-- when a request came last, as far as gateways have told, or since when it has been live
ALTER TABLE deployments ADD COLUMN active_at TIMESTAMP;
-- What is left behind by a build is told from what is left behind by a wake.
ALTER TABLE instances ADD COLUMN started_by TEXT NOT NULL DEFAULT 'build';
