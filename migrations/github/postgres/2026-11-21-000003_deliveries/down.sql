DROP TABLE outcomes;
DROP TABLE deliveries;
