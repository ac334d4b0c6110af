-- Who can authenticate. The realm is `platform`, or the id of somebody's own realm.
CREATE TABLE identities (
    id TEXT NOT NULL PRIMARY KEY,
    realm TEXT NOT NULL,
    -- by which older clients know it, counted within the realm
    number BIGINT,
    -- what its project's own server calls it
    public_id TEXT,
    email TEXT,
    email_verified_at TIMESTAMP,
    -- tokens of an older generation are revoked
    generation BIGINT NOT NULL,
    -- the platform's user that this identity has become
    user_id TEXT,
    -- what the person has told of herself: JSON
    user_metadata TEXT NOT NULL,
    -- since when it can't sign in
    disabled_at TIMESTAMP,
    version BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX identities_user_id ON identities (user_id);
CREATE UNIQUE INDEX identities_number ON identities (realm, number);
CREATE UNIQUE INDEX identities_public_id ON identities (realm, public_id);

-- How an identity signs in.
CREATE TABLE provider_identities (
    realm TEXT NOT NULL,
    provider TEXT NOT NULL,
    -- what the provider knows it by: an address, a number
    entity_id TEXT NOT NULL,
    identity_id TEXT NOT NULL REFERENCES identities (id),
    -- a password's hash in PHC form, where the provider has passwords
    secret_hash TEXT,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (realm, provider, entity_id)
);
CREATE INDEX provider_identities_identity_id ON provider_identities (identity_id);

-- What an identity may act as.
CREATE TABLE granted_actors (
    identity_id TEXT NOT NULL REFERENCES identities (id),
    actor_type TEXT NOT NULL,
    granted_at TIMESTAMP NOT NULL,
    PRIMARY KEY (identity_id, actor_type)
);
CREATE INDEX granted_actors_actor_type ON granted_actors (actor_type);
