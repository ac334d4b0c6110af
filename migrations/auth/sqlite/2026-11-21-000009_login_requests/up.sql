-- Requests to sign in that a browser answers: a program asks and polls, or a page sends its person
-- to a provider and back. Every code and state is kept as a digest.
CREATE TABLE login_requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    stage TEXT NOT NULL,
    -- names it in addresses of ours; no secret
    reference TEXT NOT NULL,
    -- what the program polls with
    poll_digest TEXT,
    -- what a person compares or types
    user_code TEXT,
    -- the browser that has taken it on
    browser_digest TEXT,
    -- the trip to the provider that is under way: its state, where it comes back to, its PKCE verifier
    state_digest TEXT,
    redirect_uri TEXT,
    sealed_verifier BLOB,
    actor_type TEXT,
    -- who has answered, or who asks
    identity_id TEXT,
    -- what the provider said of the person who answered: JSON
    profile TEXT,
    -- the one-time code that the program is shown
    code_digest TEXT,
    code_expires_at TIMESTAMP,
    -- from where it was asked, and the network by which requests are counted
    client_address TEXT,
    client_network TEXT NOT NULL,
    interval_seconds BIGINT NOT NULL,
    last_polled_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX login_requests_reference ON login_requests (reference);
CREATE UNIQUE INDEX login_requests_poll_digest ON login_requests (poll_digest);
CREATE UNIQUE INDEX login_requests_user_code ON login_requests (kind, user_code);
CREATE UNIQUE INDEX login_requests_state_digest ON login_requests (state_digest);
CREATE UNIQUE INDEX login_requests_code_digest ON login_requests (code_digest);
CREATE INDEX login_requests_client_network ON login_requests (client_network, expires_at);
CREATE INDEX login_requests_expires_at ON login_requests (expires_at);
