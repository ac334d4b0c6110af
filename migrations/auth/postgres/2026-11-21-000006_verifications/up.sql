-- Codes with which a person shows that an address is hers. The code itself is kept nowhere: 256
-- random bits need no slow hash.
CREATE TABLE verifications (
    id TEXT NOT NULL PRIMARY KEY,
    identity_id TEXT NOT NULL REFERENCES identities (id),
    -- the address
    entity_id TEXT NOT NULL,
    -- `own`: the identity's address; `change`: the one that is to take its place
    purpose TEXT NOT NULL,
    code_digest TEXT NOT NULL,
    requested_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    verified_at TIMESTAMP
);
CREATE UNIQUE INDEX verifications_code_digest ON verifications (code_digest);
CREATE INDEX verifications_identity_id ON verifications (identity_id);
CREATE INDEX verifications_expires_at ON verifications (expires_at);
