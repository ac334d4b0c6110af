DROP TABLE owners;
DROP TABLE app_databases;
DROP TABLE generated_secrets;
DROP TABLE log_chunks;
DROP TABLE instances;
DROP TABLE deployments;
DROP TABLE releases;
DROP TABLE builds;
