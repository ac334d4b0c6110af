-- Repositories that accounts have pushed; the commits are on the disk, this is what is known of them.
CREATE TABLE repositories (
    account_id TEXT NOT NULL,
    name TEXT NOT NULL,
    default_branch TEXT,
    pushed_at TIMESTAMP,
    pushed_by TEXT,
    created_at TIMESTAMP NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (account_id, name)
);

-- The branches whose commits have been told. One that was deleted keeps its row, so that its
-- version goes on if it comes back.
CREATE TABLE branches (
    account_id TEXT NOT NULL,
    repository TEXT NOT NULL,
    name TEXT NOT NULL,
    commit_id TEXT,
    version BIGINT NOT NULL,
    PRIMARY KEY (account_id, repository, name),
    FOREIGN KEY (account_id, repository) REFERENCES repositories (account_id, name) ON DELETE CASCADE
);

-- Pushes under way. A row that stays tells that the process ended before it could look at what
-- the push has changed.
CREATE TABLE pushes (
    id TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL,
    repository TEXT NOT NULL,
    pushed_by TEXT,
    started_at TIMESTAMP NOT NULL
);
CREATE INDEX pushes_by_start ON pushes (started_at);

-- Accounts that were deleted, and whether their repositories are removed already.
CREATE TABLE closed_accounts (
    account_id TEXT PRIMARY KEY NOT NULL,
    closed_at TIMESTAMP NOT NULL,
    removed BOOLEAN NOT NULL DEFAULT FALSE
);
