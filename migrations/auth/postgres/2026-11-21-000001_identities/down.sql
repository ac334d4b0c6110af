DROP TABLE granted_actors;
DROP TABLE provider_identities;
DROP TABLE identities;
