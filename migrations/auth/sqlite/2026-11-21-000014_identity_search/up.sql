-- Operators look identities up by the beginning of an address, byte by byte, and by realm.
CREATE INDEX identities_email ON identities (email COLLATE BINARY, id);
CREATE INDEX identities_realm ON identities (realm, id);
