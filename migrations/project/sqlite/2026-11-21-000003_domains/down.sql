DROP TABLE domain_versions;
DROP TABLE domains;
