CREATE ROLE scenario_views_analyst;
CREATE SCHEMA reporting;
GRANT USAGE, CREATE ON SCHEMA reporting TO scenario_views_analyst;
CREATE TABLE devices (id integer PRIMARY KEY, name text);
CREATE TABLE readings (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, read_at timestamptz NOT NULL, device integer, value numeric);
GRANT SELECT ON readings, devices TO scenario_views_analyst WITH GRANT OPTION;
GRANT INSERT ON readings TO scenario_views_analyst;
CREATE VIEW good_readings AS SELECT * FROM readings WHERE value > 0 WITH CASCADED CHECK OPTION;
CREATE VIEW reporting.days ("Day", mean) WITH (security_barrier) AS
    SELECT date_trunc('day', g.read_at), avg(g.value) FROM good_readings AS g JOIN devices ON devices.id = g.device GROUP BY 1;
CREATE VIEW reporting.above AS
    WITH means AS (SELECT avg(mean) AS mean FROM reporting.days)
    SELECT r.id, to_jsonb(r) AS row, (SELECT count(*) FROM readings AS same WHERE same.device = r.device)
      FROM readings AS r, means WHERE r.value > means.mean;
CREATE VIEW reporting.doors AS SELECT id, value FROM readings;
CREATE FUNCTION reporting.open_door() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER opens INSTEAD OF INSERT ON reporting.doors FOR EACH ROW EXECUTE FUNCTION reporting.open_door();
ALTER VIEW reporting.doors ALTER value SET DEFAULT 17;
ALTER VIEW reporting.days OWNER TO scenario_views_analyst;
ALTER VIEW good_readings OWNER TO scenario_views_analyst;
GRANT SELECT ON reporting.above TO PUBLIC;
GRANT SELECT (mean), UPDATE ("Day") ON reporting.days TO scenario_views_analyst WITH GRANT OPTION;
COMMENT ON VIEW reporting.above IS 'it''s above';
COMMENT ON COLUMN reporting.days.mean IS 'of the day';
INSERT INTO devices SELECT n, 'd' || n FROM generate_series(1, 10) AS n;
INSERT INTO readings (read_at, device, value) SELECT moment, 1 + n % 10, n - 50 FROM pg_temp.moments(400);
