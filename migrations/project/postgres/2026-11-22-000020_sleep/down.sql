ALTER TABLE environments DROP COLUMN sleep_after;
