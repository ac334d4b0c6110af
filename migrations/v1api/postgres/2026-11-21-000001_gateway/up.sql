-- Counts every change of what the gateway routes by, so that each process can tell in one cheap
-- read whether its copy in memory is up to date. Its one row serialises those changes.
CREATE TABLE route_changes (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    seq BIGINT NOT NULL,
    members BIGINT NOT NULL
);
INSERT INTO route_changes (id, seq, members) VALUES (1, 0, 0);

CREATE TABLE app_routes (
    environment_id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    label TEXT NOT NULL,
    deleted BOOLEAN NOT NULL,
    upstreams TEXT NOT NULL,
    hold_until TIMESTAMP,
    seq BIGINT NOT NULL
);
CREATE INDEX app_routes_seq ON app_routes (seq);

CREATE TABLE services (
    name TEXT PRIMARY KEY,
    origin TEXT NOT NULL,
    upstream TEXT,
    environment_id TEXT,
    account_id TEXT,
    visibility TEXT NOT NULL,
    scopes TEXT NOT NULL,
    pending_approval BOOLEAN NOT NULL,
    withdrawn_at TIMESTAMP,
    created_by TEXT,
    created_at TIMESTAMP NOT NULL,
    version BIGINT NOT NULL,
    seq BIGINT NOT NULL
);
CREATE INDEX services_seq ON services (seq);

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    jti TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    identity_id TEXT NOT NULL,
    account_id TEXT,
    realm_id TEXT,
    name TEXT,
    scopes TEXT NOT NULL,
    namespace TEXT,
    made_by_key TEXT,
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    revoked_at TIMESTAMP,
    last_used_at TIMESTAMP,
    version BIGINT NOT NULL
);
CREATE INDEX api_keys_user ON api_keys (user_id, id);
CREATE INDEX api_keys_made_by ON api_keys (made_by_key);

CREATE TABLE forward_keys (
    kid TEXT PRIMARY KEY,
    algorithm TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at TIMESTAMP NOT NULL
);

-- Calls, by the hour since the epoch. An empty text stands for nobody and for no key, since both
-- belong to the primary key.
CREATE TABLE usage_hours (
    user_id TEXT NOT NULL,
    hour BIGINT NOT NULL,
    service TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    method TEXT NOT NULL,
    status_class BIGINT NOT NULL,
    key_id TEXT NOT NULL,
    calls BIGINT NOT NULL,
    PRIMARY KEY (user_id, hour, service, endpoint, method, status_class, key_id)
);

-- The endpoints that a service's calls are told apart by; beyond a limit they are one, `other`.
CREATE TABLE usage_endpoints (
    service TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    PRIMARY KEY (service, endpoint)
);
