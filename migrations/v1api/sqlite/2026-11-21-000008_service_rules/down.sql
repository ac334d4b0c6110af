ALTER TABLE services DROP COLUMN rules;
