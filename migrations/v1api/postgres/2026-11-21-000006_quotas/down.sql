DROP TABLE quota_processes;
DROP TABLE quota_shares;
DROP TABLE quota_windows;
DROP TABLE quota_limits;
