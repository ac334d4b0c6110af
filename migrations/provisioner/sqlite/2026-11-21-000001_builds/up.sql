-- One attempt to turn a commit into a release.
CREATE TABLE builds (
    id TEXT PRIMARY KEY NOT NULL,
    environment_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    state TEXT NOT NULL,
    -- what was asked for, as the project service told it
    request TEXT NOT NULL,
    commit_id TEXT,
    message TEXT,
    reason TEXT,
    -- the release that it made, or that it brings back
    release_id TEXT,
    version BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    started_at TIMESTAMP,
    finished_at TIMESTAMP
);
CREATE INDEX builds_of_environment ON builds (environment_id, id);

-- What a build made, kept so that it can run again.
CREATE TABLE releases (
    id TEXT PRIMARY KEY NOT NULL,
    environment_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    build_id TEXT NOT NULL UNIQUE,
    -- the machine that has its directory
    node TEXT NOT NULL,
    directory TEXT NOT NULL,
    plan TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    message TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    -- when it was last made live: the ones longest unused are removed first
    used_at TIMESTAMP NOT NULL,
    -- since when its directory is to be removed
    removed_at TIMESTAMP
);
CREATE INDEX releases_of_environment ON releases (environment_id, used_at);

-- What answers for an environment. One that was deleted keeps its row, so that late news can't bring it back.
CREATE TABLE deployments (
    environment_id TEXT PRIMARY KEY NOT NULL,
    project_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    label TEXT NOT NULL,
    has_database BOOLEAN NOT NULL,
    release_id TEXT,
    build_id TEXT,
    instance_id TEXT,
    -- addresses, as JSON
    upstreams TEXT NOT NULL,
    hold_until TIMESTAMP,
    reason TEXT,
    version BIGINT NOT NULL,
    deleted_at TIMESTAMP
);

-- Running copies of releases, each on its node.
CREATE TABLE instances (
    id TEXT PRIMARY KEY NOT NULL,
    environment_id TEXT NOT NULL,
    release_id TEXT NOT NULL,
    node TEXT NOT NULL,
    -- the values that its output must not show
    sealed_secrets BLOB NOT NULL,
    -- how much of its output is in the log
    output_offset BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    -- when it is to be stopped
    retire_at TIMESTAMP
);
CREATE INDEX instances_of_node ON instances (node, retire_at);
CREATE INDEX instances_of_environment ON instances (environment_id);

-- Logs of builds and environments, by the id of either.
CREATE TABLE log_chunks (
    stream_id TEXT NOT NULL,
    first_number BIGINT NOT NULL,
    last_number BIGINT NOT NULL,
    lines TEXT NOT NULL,
    PRIMARY KEY (stream_id, first_number)
);

-- Secrets made once for an environment.
CREATE TABLE generated_secrets (
    environment_id TEXT NOT NULL,
    name TEXT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (environment_id, name)
);

-- Environments that have a database of their own on the apps' server.
CREATE TABLE app_databases (
    environment_id TEXT PRIMARY KEY NOT NULL,
    sealed_password BLOB NOT NULL
);

-- The number from which an account's user id on the machine is made.
CREATE TABLE owners (
    account_id TEXT PRIMARY KEY NOT NULL,
    number BIGINT NOT NULL UNIQUE
);
