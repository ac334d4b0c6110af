-- The keys of an identity that is disabled or deleted are revoked.
CREATE INDEX api_keys_identity ON api_keys (identity_id);
