UPDATE services SET upstreams = upstreams::json ->> 0 WHERE upstreams IS NOT NULL;
ALTER TABLE services RENAME COLUMN upstreams TO upstream;
