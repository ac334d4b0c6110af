-- Ids sort by time only when compared byte by byte.
CREATE TABLE projects (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL,
    name TEXT NOT NULL,
    slug TEXT NOT NULL,
    repo_owner TEXT NOT NULL,
    repo_name TEXT NOT NULL,
    -- what AWS must be told when it lets us take a role on; made once, never set by anybody
    aws_external_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_by TEXT,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP
);
CREATE INDEX projects_of_account ON projects (account_id, id DESC);

-- Every label that was ever given out: a deleted app's name never becomes another's.
CREATE TABLE labels (
    label TEXT PRIMARY KEY NOT NULL,
    environment_id TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE TABLE environments (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL REFERENCES projects (id),
    account_id TEXT NOT NULL,
    name TEXT NOT NULL,
    label TEXT NOT NULL UNIQUE REFERENCES labels (label),
    database BOOLEAN NOT NULL,
    branch TEXT,
    status TEXT NOT NULL,
    status_reason TEXT,
    live_build_id TEXT,
    live_release_id TEXT,
    version BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP
);
CREATE INDEX environments_of_project ON environments (project_id, id DESC);
CREATE UNIQUE INDEX environments_name ON environments (project_id, name) WHERE deleted_at IS NULL;

CREATE TABLE variables (
    environment_id TEXT COLLATE "C" NOT NULL REFERENCES environments (id),
    name TEXT COLLATE "C" NOT NULL,
    sealed BYTEA NOT NULL,
    secret BOOLEAN NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (environment_id, name)
);

CREATE TABLE builds (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL REFERENCES projects (id),
    environment_id TEXT COLLATE "C" NOT NULL REFERENCES environments (id),
    kind TEXT NOT NULL,
    git_ref TEXT,
    rollback_to TEXT,
    state TEXT NOT NULL,
    cancel_requested BOOLEAN NOT NULL,
    commit_id TEXT,
    commit_message TEXT,
    reason TEXT,
    requested_by TEXT,
    requested_at TIMESTAMP NOT NULL,
    started_at TIMESTAMP,
    finished_at TIMESTAMP,
    version BIGINT NOT NULL
);
CREATE INDEX builds_of_project ON builds (project_id, id DESC);
CREATE INDEX builds_of_environment ON builds (environment_id, id DESC);

-- One row per name for ever, so that the versions told of a name never start anew.
CREATE TABLE publications (
    name TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL,
    environment_id TEXT NOT NULL,
    visibility TEXT NOT NULL,
    scopes TEXT NOT NULL,
    approved BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    withdrawn_at TIMESTAMP
);
CREATE UNIQUE INDEX publications_of_environment ON publications (environment_id) WHERE withdrawn_at IS NULL;

CREATE TABLE aws_credentials (
    project_id TEXT COLLATE "C" PRIMARY KEY NOT NULL REFERENCES projects (id),
    access_key_id TEXT,
    sealed_secret BYTEA,
    role_arn TEXT,
    region TEXT NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

-- Accounts that were deleted, so that a request that was under way then makes nothing in them.
CREATE TABLE closed_accounts (
    account_id TEXT PRIMARY KEY NOT NULL,
    closed_at TIMESTAMP NOT NULL
);
