DROP INDEX identities_realm;
DROP INDEX identities_email;
