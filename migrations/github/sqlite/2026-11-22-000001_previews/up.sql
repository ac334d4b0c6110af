-- Whether a build is a preview's, of which environment, and whether its deployment was said to be over.
ALTER TABLE reports ADD COLUMN preview BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE reports ADD COLUMN environment_id TEXT;
ALTER TABLE reports ADD COLUMN ended BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX reports_by_environment ON reports (environment_id);

-- Environments of previews that are gone: what is heard of their builds later makes no deployment.
CREATE TABLE gone_previews (
    environment_id TEXT PRIMARY KEY NOT NULL,
    gone_at TIMESTAMP NOT NULL
);
CREATE INDEX gone_previews_by_time ON gone_previews (gone_at);

-- Previews of pull requests as project told of them last, and the comments that tell of them.
CREATE TABLE comments (
    project_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    -- what was told, as JSON
    preview TEXT NOT NULL,
    version BIGINT NOT NULL,
    -- GitHub's number of the comment, once there is one
    comment_id BIGINT,
    -- the digest of what the comment says
    said TEXT,
    PRIMARY KEY (project_id, number)
);
CREATE INDEX comments_of_account ON comments (account_id);
