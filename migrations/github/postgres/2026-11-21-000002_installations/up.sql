-- Installations of the GitHub App that somebody has proved. One that has ended keeps its row, so that
-- its version goes on.
CREATE TABLE installations (
    id BIGINT PRIMARY KEY NOT NULL,
    owner_id BIGINT NOT NULL,
    owner TEXT NOT NULL,
    owner_kind TEXT NOT NULL,
    suspended BOOLEAN NOT NULL,
    removed BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

-- The accounts for which they were proved.
CREATE TABLE installation_accounts (
    installation_id BIGINT NOT NULL REFERENCES installations (id) ON DELETE CASCADE,
    account_id TEXT NOT NULL,
    proved_by TEXT NOT NULL,
    proved_at TIMESTAMP NOT NULL,
    PRIMARY KEY (installation_id, account_id)
);
CREATE INDEX installation_accounts_by_account ON installation_accounts (account_id);
