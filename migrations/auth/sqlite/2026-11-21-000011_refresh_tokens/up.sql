-- When an operator asked for another key in the place of this one.
ALTER TABLE signing_keys ADD COLUMN rotation_asked_at TIMESTAMP;

-- Chains of refresh tokens: each begins with a sign-in of one client, and ends as a whole.
CREATE TABLE refresh_families (
    id TEXT NOT NULL PRIMARY KEY,
    identity_id TEXT NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    client TEXT NOT NULL,
    actor_type TEXT NOT NULL,
    provider TEXT NOT NULL,
    -- the identity's when it signed in; a later one ends the chain
    generation BIGINT NOT NULL,
    signed_in_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    ended_at TIMESTAMP,
    end_reason TEXT
);
CREATE INDEX refresh_families_identity_id ON refresh_families (identity_id);
CREATE INDEX refresh_families_expires_at ON refresh_families (expires_at);

-- The tokens of a chain; only the last is unused. The tokens themselves are kept nowhere: 256 random
-- bits need no slow hash.
CREATE TABLE refresh_tokens (
    digest TEXT NOT NULL PRIMARY KEY,
    family_id TEXT NOT NULL REFERENCES refresh_families (id) ON DELETE CASCADE,
    created_at TIMESTAMP NOT NULL,
    used_at TIMESTAMP,
    -- the next one, sealed, for as long as a lost answer may be asked for again
    successor BLOB,
    -- the access token that came with it
    access_jti TEXT NOT NULL,
    access_expires_at TIMESTAMP NOT NULL
);
CREATE INDEX refresh_tokens_family_id ON refresh_tokens (family_id);
