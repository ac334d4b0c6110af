-- After how many seconds without a request an app is put to sleep; never where there is none.
ALTER TABLE environments ADD COLUMN sleep_after BIGINT;
