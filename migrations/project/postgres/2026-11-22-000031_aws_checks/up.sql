-- What AWS has said of credentials; nothing yet of those that are here already.
ALTER TABLE aws_credentials ADD COLUMN check_status TEXT NOT NULL DEFAULT 'unchecked';
ALTER TABLE aws_credentials ADD COLUMN check_code TEXT;
ALTER TABLE aws_credentials ADD COLUMN check_problem TEXT;
ALTER TABLE aws_credentials ADD COLUMN aws_account_id TEXT;
ALTER TABLE aws_credentials ADD COLUMN arn TEXT;
ALTER TABLE aws_credentials ADD COLUMN checked_at TIMESTAMP;
