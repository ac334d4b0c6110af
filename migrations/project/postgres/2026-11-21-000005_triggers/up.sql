-- What had a build asked for, where that wasn't a person: the same asks for no second one.
ALTER TABLE builds ADD COLUMN trigger_key TEXT;
CREATE UNIQUE INDEX builds_by_trigger ON builds (environment_id, trigger_key);
