-- What somebody shows beside her password.
CREATE TABLE mfa_factors (
    id TEXT NOT NULL PRIMARY KEY,
    identity_id TEXT NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    provider TEXT NOT NULL,
    status TEXT NOT NULL,
    label TEXT,
    -- nothing once it is disabled
    sealed_secret BYTEA NOT NULL,
    -- the last step of time whose code was taken: none is taken twice
    last_step BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
CREATE INDEX mfa_factors_identity_id ON mfa_factors (identity_id, id);
CREATE UNIQUE INDEX mfa_factors_enabled ON mfa_factors (identity_id, provider) WHERE status = 'enabled';

-- What she shows where she has lost that. The codes themselves are kept nowhere.
CREATE TABLE mfa_recovery_codes (
    identity_id TEXT NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    digest TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (identity_id, digest)
);

-- Logins that wait for it.
CREATE TABLE mfa_challenges (
    id TEXT NOT NULL PRIMARY KEY,
    identity_id TEXT NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    actor_type TEXT NOT NULL,
    provider TEXT NOT NULL,
    generation BIGINT NOT NULL,
    -- how many codes have been tried
    attempts BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    completed_at TIMESTAMP
);
CREATE INDEX mfa_challenges_identity_id ON mfa_challenges (identity_id);
CREATE INDEX mfa_challenges_expires_at ON mfa_challenges (expires_at);
