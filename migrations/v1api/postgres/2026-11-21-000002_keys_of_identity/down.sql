DROP INDEX api_keys_identity;
