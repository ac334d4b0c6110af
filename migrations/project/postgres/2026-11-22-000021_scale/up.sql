-- How many instances of the app run.
ALTER TABLE environments ADD COLUMN instances BIGINT NOT NULL DEFAULT 1;
-- Whether requests are answered with a page that says so, instead of by the app.
ALTER TABLE environments ADD COLUMN maintenance BOOLEAN NOT NULL DEFAULT FALSE;
