ALTER TABLE publications DROP COLUMN rules;
