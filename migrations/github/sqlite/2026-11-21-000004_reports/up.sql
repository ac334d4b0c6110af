-- Builds of repositories at GitHub, as far as is known of them: what was asked for and what becomes of
-- it are told by two services, in any order.
CREATE TABLE reports (
    build_id TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL,
    project_id TEXT,
    environment TEXT,
    label TEXT,
    owner TEXT,
    repo TEXT,
    commit_id TEXT,
    state TEXT NOT NULL,
    deployment_id BIGINT,
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX reports_by_time ON reports (created_at);
