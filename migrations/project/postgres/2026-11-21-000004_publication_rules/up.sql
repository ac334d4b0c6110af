-- Endpoints, origins, time and size, as JSON.
ALTER TABLE publications ADD COLUMN rules TEXT NOT NULL DEFAULT '{}';
