ALTER TABLE instances DROP COLUMN started_by;
ALTER TABLE deployments DROP COLUMN active_at;
ALTER TABLE deployments DROP COLUMN rest;
ALTER TABLE deployments DROP COLUMN sleep_after;
