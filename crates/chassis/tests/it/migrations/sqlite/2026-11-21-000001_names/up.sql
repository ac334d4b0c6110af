CREATE TABLE names (
    subject TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    changes BIGINT NOT NULL
);
