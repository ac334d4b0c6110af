-- What an environment is for: `standard`, or the preview of a pull request.
ALTER TABLE environments ADD COLUMN kind TEXT NOT NULL DEFAULT 'standard';

-- The branch whose settings a build takes instead of its commit's own.
ALTER TABLE builds ADD COLUMN settings_ref TEXT;

-- How a project's pull requests are previewed; without a row, they aren't.
CREATE TABLE preview_settings (
    project_id TEXT PRIMARY KEY NOT NULL REFERENCES projects (id),
    enabled BOOLEAN NOT NULL,
    secrets BOOLEAN NOT NULL,
    -- the name of the environment whose variables are copied
    source_environment TEXT NOT NULL,
    -- branches, as JSON; none stands for all
    base_branches TEXT NOT NULL,
    most INTEGER NOT NULL,
    -- after how many seconds without a request a preview sleeps; null is never
    sleep_after BIGINT,
    updated_at TIMESTAMP NOT NULL
);

-- Pull requests that have, had or await a preview.
CREATE TABLE previews (
    project_id TEXT NOT NULL REFERENCES projects (id),
    number BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    repo_owner TEXT NOT NULL,
    repo_name TEXT NOT NULL,
    base_branch TEXT NOT NULL,
    head_repository TEXT,
    head_branch TEXT NOT NULL,
    head_commit TEXT NOT NULL,
    fork BOOLEAN NOT NULL,
    author TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    -- the one commit of a fork that a member has approved
    approved_commit TEXT,
    approved_by TEXT,
    approved_at TIMESTAMP,
    environment_id TEXT,
    build_id TEXT,
    built_commit TEXT,
    -- when the pull request changed last, by GitHub's clock
    changed_at TIMESTAMP NOT NULL,
    version BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (project_id, number)
);
CREATE INDEX previews_of_build ON previews (build_id);
