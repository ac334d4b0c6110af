-- Domains of accounts' own, and the environments that answer under them.
CREATE TABLE domain_routes (
    domain TEXT PRIMARY KEY,
    environment_id TEXT NOT NULL,
    challenge_name TEXT NOT NULL,
    challenge_content TEXT NOT NULL,
    dropped BOOLEAN NOT NULL,
    seq BIGINT NOT NULL
);
CREATE INDEX domain_routes_seq ON domain_routes (seq);
