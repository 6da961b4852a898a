CREATE SCHEMA planner;
CREATE TABLE visits (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, came_at timestamptz NOT NULL, shop int);
CREATE STATISTICS planner.shops (ndistinct) ON shop, came_at FROM visits;
CREATE STATISTICS planner.shops_old (ndistinct) ON id, shop FROM visits;
INSERT INTO visits (came_at, shop) SELECT moment, n % 5 FROM pg_temp.moments(100);
