-- The key that others encrypt to us with. One row: every replica has the same key.
CREATE TABLE cipher_keys (
    name TEXT NOT NULL PRIMARY KEY,
    -- the public half: a JWK
    public_jwk TEXT NOT NULL,
    -- the PKCS#8 document under the master key
    sealed_key BLOB NOT NULL,
    created_at TIMESTAMP NOT NULL
);

-- Whether somebody has an address already.
CREATE INDEX identities_realm_email ON identities (realm, email);
