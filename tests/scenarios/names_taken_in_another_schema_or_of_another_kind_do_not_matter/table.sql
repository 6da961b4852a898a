CREATE SCHEMA planner;
CREATE TABLE visits (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, came_at timestamptz NOT NULL, shop int);
CREATE STATISTICS planner.shops (ndistinct) ON shop, came_at FROM visits;
CREATE TABLE planner.shops_new (id int);
CREATE STATISTICS visits_new (ndistinct) ON id, shop FROM visits;
CREATE TABLE planner.visits_new (id int);
INSERT INTO visits (came_at, shop) SELECT moment, n % 5 FROM pg_temp.moments(100);
