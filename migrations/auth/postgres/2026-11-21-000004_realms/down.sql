DROP TABLE last_numbers;
DROP TABLE project_keys;
DROP TABLE realms;
