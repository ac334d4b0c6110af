ALTER TABLE deployments ADD COLUMN instance_id TEXT;
UPDATE deployments SET instance_id = (
    SELECT MAX(id) FROM instances WHERE instances.environment_id = deployments.environment_id AND live
);
ALTER TABLE instances DROP COLUMN renew;
ALTER TABLE instances DROP COLUMN address;
ALTER TABLE instances DROP COLUMN live;
ALTER TABLE deployments DROP COLUMN wanted;
