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
INSERT INTO usage_hours (user_id, hour, service, endpoint, method, status_class, key_id, calls)
SELECT s.user_id, u.start, s.service, s.endpoint, s.method, s.status_class, s.key_id, u.calls
FROM usage_sums u JOIN usage_series s ON s.id = u.series WHERE u.span = 0;
DROP TABLE usage_sums;
DROP TABLE usage_series;
