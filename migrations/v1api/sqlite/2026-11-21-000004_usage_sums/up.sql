-- Each kind of call once: its sums are found by a number, newest and oldest alike, without reading
-- what lies between them.
CREATE TABLE usage_series (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id TEXT NOT NULL,
    service TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    method TEXT NOT NULL,
    status_class BIGINT NOT NULL,
    key_id TEXT NOT NULL,
    UNIQUE (user_id, service, endpoint, method, status_class, key_id)
);

-- What calls of one kind came to in an hour (span 0), a day (1) and a month (2), each counted from the
-- epoch. Latencies are pairs of a step and its count.
CREATE TABLE usage_sums (
    series BIGINT NOT NULL,
    span BIGINT NOT NULL,
    start BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    bytes_in BIGINT NOT NULL,
    bytes_out BIGINT NOT NULL,
    latencies BLOB NOT NULL,
    PRIMARY KEY (series, span, start)
);

INSERT INTO usage_series (user_id, service, endpoint, method, status_class, key_id)
SELECT DISTINCT user_id, service, endpoint, method, status_class, key_id FROM usage_hours;

INSERT INTO usage_sums (series, span, start, calls, bytes_in, bytes_out, latencies)
SELECT s.id, 0, u.hour, u.calls, 0, 0, x''
FROM usage_hours u JOIN usage_series s
    USING (user_id, service, endpoint, method, status_class, key_id);

INSERT INTO usage_sums (series, span, start, calls, bytes_in, bytes_out, latencies)
SELECT series, 1, start / 24, SUM(calls), 0, 0, x''
FROM usage_sums WHERE span = 0 GROUP BY series, start / 24;

INSERT INTO usage_sums (series, span, start, calls, bytes_in, bytes_out, latencies)
SELECT series, 2, month, SUM(calls), 0, 0, x''
FROM (
    SELECT series, calls,
        (CAST(strftime('%Y', start * 86400, 'unixepoch') AS INTEGER) - 1970) * 12
            + CAST(strftime('%m', start * 86400, 'unixepoch') AS INTEGER) - 1 AS month
    FROM usage_sums WHERE span = 1
)
GROUP BY series, month;

DROP TABLE usage_hours;
