-- The platform's record of a person.
CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    -- the identity that signs in as this user
    identity_id TEXT NOT NULL,
    email TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX users_identity_id ON users (identity_id);

-- An organisation or individual that owns projects.
CREATE TABLE accounts (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    -- a tombstone: what was deleted can be brought back for a while
    deleted_at TIMESTAMP
);

-- Who belongs to an account. One who left keeps the row, with no role, so that the version goes on.
CREATE TABLE members (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    role TEXT,
    version BIGINT NOT NULL,
    joined_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (account_id, user_id)
);
CREATE INDEX members_user_id ON members (user_id, account_id);
CREATE INDEX members_account_id ON members (account_id, joined_at, user_id);

-- Invitations to an account.
CREATE TABLE invites (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    role TEXT NOT NULL,
    -- the only address that may accept it, where it names one
    email TEXT,
    max_uses BIGINT NOT NULL,
    uses BIGINT NOT NULL,
    -- the identity that invited, and its user unless it did so as an admin
    inviter_identity_id TEXT NOT NULL,
    inviter_user_id TEXT,
    version BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    revoked_at TIMESTAMP
);
CREATE INDEX invites_account_id ON invites (account_id, id);

-- Who accepted which invite.
CREATE TABLE invite_uses (
    invite_id TEXT NOT NULL REFERENCES invites (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    used_at TIMESTAMP NOT NULL,
    PRIMARY KEY (invite_id, user_id)
);
