CREATE TABLE alarms (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, rung_at timestamptz NOT NULL);
CREATE MATERIALIZED VIEW alarm_days AS SELECT rung_at::date AS day, count(*) AS rows FROM alarms GROUP BY 1;
CREATE UNIQUE INDEX alarm_days_day ON alarm_days (day);
CREATE FUNCTION count_alarms() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM alarms; END;
ALTER MATERIALIZED VIEW alarm_days DEPENDS ON EXTENSION plpgsql;
ALTER INDEX alarm_days_day DEPENDS ON EXTENSION plpgsql;
ALTER FUNCTION count_alarms() DEPENDS ON EXTENSION plpgsql;
INSERT INTO alarms (rung_at) SELECT moment FROM pg_temp.moments(100);
