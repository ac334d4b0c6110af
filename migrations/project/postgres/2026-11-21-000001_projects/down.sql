DROP TABLE closed_accounts;
DROP TABLE aws_credentials;
DROP TABLE publications;
DROP TABLE builds;
DROP TABLE variables;
DROP TABLE environments;
DROP TABLE labels;
DROP TABLE projects;
