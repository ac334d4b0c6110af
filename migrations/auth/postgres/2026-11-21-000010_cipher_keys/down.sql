DROP INDEX identities_realm_email;
DROP TABLE cipher_keys;
