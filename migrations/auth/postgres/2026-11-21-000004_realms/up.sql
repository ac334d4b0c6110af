-- Sets of identities that somebody of the platform owns.
CREATE TABLE realms (
    id TEXT NOT NULL PRIMARY KEY,
    -- whoever made it, whose it is unless it is an account's
    owner_id TEXT NOT NULL REFERENCES identities (id),
    -- the account that owns it
    account_id TEXT,
    name TEXT NOT NULL,
    -- which passwords are accepted, where not as on the platform
    password_policy TEXT,
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX realms_owner_id ON realms (owner_id, id);
CREATE INDEX realms_account_id ON realms (account_id, id);

-- What opens a realm to a project's server. The key itself is kept nowhere: 256 random bits need no
-- slow hash.
CREATE TABLE project_keys (
    digest TEXT NOT NULL PRIMARY KEY,
    realm_id TEXT NOT NULL REFERENCES realms (id),
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP
);
CREATE INDEX project_keys_realm_id ON project_keys (realm_id);

-- The last number given in a realm: one is never given twice, whoever is deleted.
CREATE TABLE last_numbers (
    realm TEXT NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL
);
