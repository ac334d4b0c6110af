-- The last batch of counts that was applied, for each file that a process counts in.
CREATE TABLE usage_batches (
    epoch TEXT PRIMARY KEY,
    batch BIGINT NOT NULL
);
