DROP TABLE rule_changes;
DROP TABLE retired_tokens;
DROP INDEX api_keys_seq;
ALTER TABLE api_keys DROP COLUMN seq;
ALTER TABLE api_keys DROP COLUMN rotated_at;
ALTER TABLE api_keys DROP COLUMN limits;
ALTER TABLE api_keys DROP COLUMN allowed_origins;
ALTER TABLE api_keys DROP COLUMN allowed_addresses;
