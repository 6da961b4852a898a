CREATE SCHEMA planner;
CREATE TABLE addresses (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, since timestamptz NOT NULL, zip text, city text);
CREATE STATISTICS addresses_place (dependencies, ndistinct) ON zip, city FROM addresses;
CREATE STATISTICS planner."Cities" ON lower(city), zip FROM addresses;
CREATE STATISTICS addresses_month ON date_trunc('month', since AT TIME ZONE 'UTC') FROM addresses;
ALTER STATISTICS addresses_place SET STATISTICS 500;
COMMENT ON STATISTICS planner."Cities" IS 'a zip has one city';
INSERT INTO addresses (since, zip, city) SELECT moment, n % 50, 'city ' || n % 50 FROM pg_temp.moments(400);
