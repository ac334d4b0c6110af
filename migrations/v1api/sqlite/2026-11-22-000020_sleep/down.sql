ALTER TABLE app_routes DROP COLUMN asleep;
ALTER TABLE app_routes DROP COLUMN sleeps;
