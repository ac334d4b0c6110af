DROP TABLE comments;
DROP TABLE gone_previews;
DROP INDEX reports_by_environment;
ALTER TABLE reports DROP COLUMN ended;
ALTER TABLE reports DROP COLUMN environment_id;
ALTER TABLE reports DROP COLUMN preview;
