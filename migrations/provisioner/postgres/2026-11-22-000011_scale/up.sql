-- How many instances an environment wants.
ALTER TABLE deployments ADD COLUMN wanted BIGINT NOT NULL DEFAULT 1;
-- Whether requests go to an instance, and where it listens.
ALTER TABLE instances ADD COLUMN live BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE instances ADD COLUMN address TEXT;
-- Whether another one is to take its place.
ALTER TABLE instances ADD COLUMN renew BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE instances SET live = TRUE WHERE id IN (SELECT instance_id FROM deployments WHERE instance_id IS NOT NULL);
UPDATE instances SET address = (
    SELECT REPLACE(REPLACE(upstreams, '["', ''), '"]', '') FROM deployments
    WHERE deployments.instance_id = instances.id AND upstreams <> '[]'
) WHERE live;
ALTER TABLE deployments DROP COLUMN instance_id;
