ALTER TABLE aws_credentials DROP COLUMN checked_at;
ALTER TABLE aws_credentials DROP COLUMN arn;
ALTER TABLE aws_credentials DROP COLUMN aws_account_id;
ALTER TABLE aws_credentials DROP COLUMN check_problem;
ALTER TABLE aws_credentials DROP COLUMN check_code;
ALTER TABLE aws_credentials DROP COLUMN check_status;
