-- What a key is confined to beside its scopes, as JSON lists; an empty one confines nothing.
ALTER TABLE api_keys ADD COLUMN allowed_addresses TEXT NOT NULL DEFAULT '[]';
ALTER TABLE api_keys ADD COLUMN allowed_origins TEXT NOT NULL DEFAULT '[]';
ALTER TABLE api_keys ADD COLUMN limits TEXT NOT NULL DEFAULT '[]';
ALTER TABLE api_keys ADD COLUMN rotated_at TIMESTAMP;
-- The last change of the key that gateways keep in memory; 0 for a key that they needn't know of.
ALTER TABLE api_keys ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
CREATE INDEX api_keys_seq ON api_keys (seq);
UPDATE api_keys SET seq = 1 WHERE revoked_at IS NOT NULL OR made_by_key IS NOT NULL;

-- Tokens that a rotation has replaced, and until when each goes on.
CREATE TABLE retired_tokens (
    jti TEXT PRIMARY KEY,
    key_id TEXT NOT NULL,
    ends_at TIMESTAMP NOT NULL,
    ended BOOLEAN NOT NULL
);
CREATE INDEX retired_tokens_key ON retired_tokens (key_id);
CREATE INDEX retired_tokens_due ON retired_tokens (ended, ends_at);

-- Counts the changes of what gateways know of keys and limits. Its one row serialises them.
CREATE TABLE rule_changes (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    seq BIGINT NOT NULL
);
INSERT INTO rule_changes (id, seq) VALUES (1, 1);
