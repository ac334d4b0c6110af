DROP TABLE installation_accounts;
DROP TABLE installations;
