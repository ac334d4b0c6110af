-- Browsers that are signed in. The cookie itself is kept nowhere: 256 random bits need no slow hash.
CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    digest TEXT NOT NULL,
    identity_id TEXT NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    actor_type TEXT NOT NULL,
    provider TEXT NOT NULL,
    -- when the person signed in
    auth_time TIMESTAMP NOT NULL,
    -- the identity's when it began: with the next one all sessions end
    generation BIGINT NOT NULL,
    user_agent TEXT,
    address TEXT,
    created_at TIMESTAMP NOT NULL,
    -- to a few minutes
    last_seen_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    -- what must be completed before it is anybody's
    challenge_id TEXT
);
CREATE UNIQUE INDEX sessions_digest ON sessions (digest);
CREATE INDEX sessions_identity_id ON sessions (identity_id, id);
CREATE INDEX sessions_expires_at ON sessions (expires_at);
