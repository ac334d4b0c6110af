-- Whether the app is put to sleep when nobody asks for it, so that who asks is noted.
ALTER TABLE app_routes ADD COLUMN sleeps BOOLEAN NOT NULL DEFAULT FALSE;
-- Whether it sleeps, so that the next request wakes it.
ALTER TABLE app_routes ADD COLUMN asleep BOOLEAN NOT NULL DEFAULT FALSE;
