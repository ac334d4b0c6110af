ALTER TABLE environments DROP COLUMN maintenance;
ALTER TABLE environments DROP COLUMN instances;
