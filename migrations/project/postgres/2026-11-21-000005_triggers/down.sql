DROP INDEX builds_by_trigger;
ALTER TABLE builds DROP COLUMN trigger_key;
