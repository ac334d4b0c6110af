ALTER TABLE app_routes DROP COLUMN maintenance;
