UPDATE services SET upstreams = json_extract(upstreams, '$[0]') WHERE upstreams IS NOT NULL;
ALTER TABLE services RENAME COLUMN upstreams TO upstream;
