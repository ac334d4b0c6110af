-- Whether requests are answered with a page that says so, instead of by the app.
ALTER TABLE app_routes ADD COLUMN maintenance BOOLEAN NOT NULL DEFAULT FALSE;
