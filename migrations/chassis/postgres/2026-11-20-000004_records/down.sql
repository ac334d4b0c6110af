DROP TABLE idempotency_keys;
DROP TABLE memberships;
DROP TABLE audit_log;
