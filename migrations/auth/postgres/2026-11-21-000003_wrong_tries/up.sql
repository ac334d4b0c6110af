-- How often in a row a sign-in failed, by identity and by address. The subject is a digest, so
-- that the table tells nobody's address.
CREATE TABLE wrong_tries (
    subject TEXT NOT NULL PRIMARY KEY,
    failures BIGINT NOT NULL,
    last_failed_at TIMESTAMP NOT NULL
);
CREATE INDEX wrong_tries_last_failed_at ON wrong_tries (last_failed_at);
