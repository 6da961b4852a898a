CREATE ROLE scenario_matview_analyst;
GRANT USAGE, CREATE ON SCHEMA public TO scenario_matview_analyst;
CREATE TABLE sales (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sold_at timestamptz NOT NULL, net numeric);
GRANT SELECT ON sales TO scenario_matview_analyst;
INSERT INTO sales (sold_at, net) SELECT moment, n FROM pg_temp.moments(400);
CREATE VIEW large_sales AS SELECT sold_at, net FROM sales WHERE net > 20;
CREATE MATERIALIZED VIEW days WITH (fillfactor = 80, autovacuum_enabled = false) AS
    SELECT date_trunc('day', sold_at) AS day, sum(net) AS net, count(*) AS sales FROM large_sales GROUP BY 1;
CREATE UNIQUE INDEX days_day ON days (day DESC) WITH (fillfactor = 60);
CREATE INDEX days_net ON days (net) WHERE net > 100;
COMMENT ON INDEX days_net IS 'the good days';
COMMENT ON MATERIALIZED VIEW days IS 'refreshed at night';
COMMENT ON COLUMN days.net IS 'in euro';
CREATE STATISTICS days_statistics ON day, net FROM days;
ALTER MATERIALIZED VIEW days ALTER net SET STATISTICS 200;
ALTER MATERIALIZED VIEW days OWNER TO scenario_matview_analyst;
GRANT SELECT ON days TO PUBLIC;
CREATE VIEW best_days AS SELECT * FROM days ORDER BY net DESC LIMIT 10;
CREATE MATERIALIZED VIEW best_months AS SELECT date_trunc('month', day) AS month, max(net) FROM best_days GROUP BY 1 WITH NO DATA;
