DROP TABLE usage_endpoints;
DROP TABLE usage_hours;
DROP TABLE forward_keys;
DROP TABLE api_keys;
DROP TABLE services;
DROP TABLE app_routes;
DROP TABLE route_changes;
