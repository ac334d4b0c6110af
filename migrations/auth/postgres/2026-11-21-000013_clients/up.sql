-- Where somebody of a realm is signed in: the project's server verifies her by the secret.
CREATE TABLE clients (
    id TEXT NOT NULL PRIMARY KEY,
    identity_id TEXT NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    purpose TEXT NOT NULL,
    sealed_secret BYTEA NOT NULL,
    -- one of an older generation than its identity's has ended
    generation BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL
);
CREATE INDEX clients_identity_id ON clients (identity_id, created_at);
CREATE INDEX clients_expires_at ON clients (expires_at);
