DROP TABLE refresh_tokens;
DROP TABLE refresh_families;
ALTER TABLE signing_keys DROP COLUMN rotation_asked_at;
