-- A named service has one upstream or several: `host:port` each, as a JSON list. The port is always
-- there, and neither it nor a host's name holds what JSON would escape.
ALTER TABLE services RENAME COLUMN upstream TO upstreams;
UPDATE services SET upstreams = '["' || upstreams || '"]' WHERE upstreams IS NOT NULL;
