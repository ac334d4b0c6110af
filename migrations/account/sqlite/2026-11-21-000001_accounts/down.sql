DROP TABLE invite_uses;
DROP TABLE invites;
DROP TABLE members;
DROP TABLE accounts;
DROP TABLE users;
