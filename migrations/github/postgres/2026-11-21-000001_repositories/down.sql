DROP TABLE closed_accounts;
DROP TABLE pushes;
DROP TABLE branches;
DROP TABLE repositories;
