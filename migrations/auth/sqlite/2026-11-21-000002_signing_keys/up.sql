-- The keys that tokens are signed with: `next`, `active`, `retiring`.
CREATE TABLE signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    algorithm TEXT NOT NULL,
    state TEXT NOT NULL,
    -- the kinds of token it may sign, divided by spaces
    kinds TEXT NOT NULL,
    -- the public half: a JWK
    public_jwk TEXT NOT NULL,
    -- the PKCS#8 document under the master key
    sealed_key BLOB NOT NULL,
    created_at TIMESTAMP NOT NULL,
    -- when its state became what it is
    changed_at TIMESTAMP NOT NULL
);
CREATE INDEX signing_keys_state ON signing_keys (state);
