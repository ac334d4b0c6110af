-- Endpoints, origins, time and size, as JSON.
ALTER TABLE services ADD COLUMN rules TEXT NOT NULL DEFAULT '{}';
