DROP TABLE domain_routes;
