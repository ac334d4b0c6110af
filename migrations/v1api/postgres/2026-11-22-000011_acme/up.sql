-- Accounts with makers of certificates, by the address of their directory; the credentials are sealed.
CREATE TABLE acme_accounts (
    directory TEXT PRIMARY KEY,
    sealed BYTEA NOT NULL,
    created_at TIMESTAMP NOT NULL
);
-- Hosts that certificates are got for, and the certificate of each once there is one; its key is sealed.
CREATE TABLE acme_certificates (
    host TEXT COLLATE "C" PRIMARY KEY,
    chain TEXT,
    sealed_key BYTEA,
    not_after TIMESTAMP,
    -- When to order next, and how often that has been done.
    due_at TIMESTAMP NOT NULL,
    round BIGINT NOT NULL,
    -- Orders in a row that failed, and why the last one did.
    failures BIGINT NOT NULL,
    last_error TEXT,
    seq BIGINT NOT NULL
);
CREATE INDEX acme_certificates_due ON acme_certificates (due_at);
CREATE INDEX acme_certificates_seq ON acme_certificates (seq);
-- What a host shows to prove that it leads here (RFC 8555, section 8.3).
CREATE TABLE acme_challenges (
    host TEXT COLLATE "C" NOT NULL,
    token TEXT COLLATE "C" NOT NULL,
    content TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (host, token)
);
