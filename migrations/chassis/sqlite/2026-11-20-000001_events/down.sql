DROP TABLE applied_versions;
DROP TABLE inbox;
DROP TABLE outbox;
