-- A table with everything that pg_dump can dump for it and that a migration carries: a role, a schema and its types first.
CREATE ROLE classes_owner;
CREATE ROLE classes_zed;
CREATE ROLE classes_yan;
CREATE ROLE classes_xav;
CREATE SCHEMA app;
CREATE SCHEMA planner;
GRANT ALL ON SCHEMA app, planner TO classes_owner, classes_zed, classes_yan;
CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler;
CREATE TYPE app.mood AS ENUM ('calm', 'wild');
CREATE DOMAIN app.percent AS integer CHECK (VALUE BETWEEN 0 AND 100);
CREATE SEQUENCE app.tickets;
CREATE TABLE app.units (id integer PRIMARY KEY);
INSERT INTO app.units SELECT generate_series(1, 5);
CREATE FUNCTION app.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN coalesce(NEW, OLD); END';
CREATE FUNCTION app.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER on_cast ON ddl_command_end WHEN TAG IN ('CREATE CAST') EXECUTE FUNCTION app.on_ddl();
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO classes_xav;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON SEQUENCES TO classes_xav;

CREATE TABLE app.readings (
    id bigint GENERATED ALWAYS AS IDENTITY (START 5 INCREMENT 2 CACHE 3 MAXVALUE 2147483647),
    gone integer,
    at timestamptz CONSTRAINT must_happen NOT NULL,
    unit integer CONSTRAINT readings_unit REFERENCES app.units ON DELETE SET NULL,
    value numeric(10, 2) DEFAULT 1.5,
    share app.percent,
    mood app.mood DEFAULT 'calm',
    note text COLLATE "C",
    ticket bigint DEFAULT nextval('app.tickets'),
    number serial,
    doubled numeric GENERATED ALWAYS AS (value * 2) STORED,
    halved numeric GENERATED ALWAYS AS (value / 2) VIRTUAL,
    CONSTRAINT readings_pkey PRIMARY KEY (id) INCLUDE (unit) WITH (fillfactor = 90),
    CONSTRAINT readings_whole UNIQUE (id, at),
    CONSTRAINT readings_once UNIQUE NULLS NOT DISTINCT (at, id, note) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT readings_value CHECK (value < 1000000),
    CONSTRAINT readings_share CHECK (share < 90) NOT ENFORCED
) USING other WITH (fillfactor = 80, toast.autovacuum_enabled = false);
ALTER TABLE app.readings DROP gone;
ALTER TABLE app.readings OWNER TO classes_owner;
INSERT INTO app.readings (at, unit, value, note)
    SELECT now() - n * interval '1 day', 1 + n % 5, n, 'note ' || n % 7 FROM generate_series(1, 60) n;
ALTER SEQUENCE app.readings_id_seq AS integer;
ALTER SEQUENCE app.readings_id_seq SET UNLOGGED;
ALTER TABLE app.readings ADD CONSTRAINT readings_small CHECK (value < 30) NOT VALID;
ALTER TABLE app.readings ADD CONSTRAINT readings_other_unit FOREIGN KEY (ticket) REFERENCES app.units NOT VALID;
ALTER TABLE app.readings
    ALTER unit SET (n_distinct = 5, n_distinct_inherited = 5), ALTER unit SET STATISTICS 500,
    ALTER note SET STORAGE EXTERNAL, ALTER note SET COMPRESSION pglz;
CREATE INDEX readings_at ON app.readings (at DESC NULLS LAST) INCLUDE (note) WITH (fillfactor = 70);
CREATE INDEX readings_note ON app.readings (lower(note)) WHERE value > 1;
CREATE INDEX readings_brin ON app.readings USING brin (at timestamptz_minmax_multi_ops (values_per_range = 16));
ALTER INDEX app.readings_note ALTER COLUMN 1 SET STATISTICS 250;
ALTER INDEX app.readings_note DEPENDS ON EXTENSION plpgsql;
ALTER TABLE app.readings REPLICA IDENTITY USING INDEX readings_pkey;
ALTER TABLE app.readings CLUSTER ON readings_at;

CREATE TRIGGER every_row BEFORE UPDATE OF note ON app.readings FOR EACH ROW WHEN (NEW.value > 1)
    EXECUTE FUNCTION app.nothing('an argument');
CREATE TRIGGER statements AFTER INSERT ON app.readings REFERENCING NEW TABLE AS added EXECUTE FUNCTION app.nothing();
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON app.readings FROM app.units DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION app.nothing();
CREATE TRIGGER in_replicas AFTER DELETE ON app.readings FOR EACH ROW EXECUTE FUNCTION app.nothing();
CREATE TRIGGER off AFTER DELETE ON app.readings FOR EACH ROW EXECUTE FUNCTION app.nothing();
CREATE TRIGGER always AFTER DELETE ON app.readings EXECUTE FUNCTION app.nothing();
ALTER TABLE app.readings ENABLE REPLICA TRIGGER in_replicas, DISABLE TRIGGER off, ENABLE ALWAYS TRIGGER always;
ALTER TRIGGER statements ON app.readings DEPENDS ON EXTENSION plpgsql;

CREATE POLICY of_the_unit ON app.readings AS RESTRICTIVE FOR UPDATE TO classes_zed, classes_yan
    USING (unit IN (SELECT unit FROM app.readings)) WITH CHECK (unit < 9);
CREATE POLICY all_rows ON app.readings USING (true);
ALTER TABLE app.readings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE app.units ENABLE ROW LEVEL SECURITY;
CREATE POLICY measured ON app.units USING (EXISTS (SELECT FROM app.readings r WHERE r.unit = units.id));

CREATE STATISTICS planner.unit_and_note (ndistinct, dependencies) ON unit, note FROM app.readings;
CREATE STATISTICS app.lower_note ON lower(note) FROM app.readings;
ALTER STATISTICS planner.unit_and_note SET STATISTICS 50;
ALTER STATISTICS planner.unit_and_note OWNER TO classes_zed;

SET ROLE classes_owner;
GRANT SELECT, MAINTAIN ON app.readings TO classes_zed WITH GRANT OPTION;
GRANT UPDATE (note), SELECT (unit) ON app.readings TO PUBLIC;
GRANT SELECT (value) ON app.readings TO classes_yan WITH GRANT OPTION;
REVOKE TRUNCATE, INSERT ON app.readings FROM classes_owner;
GRANT INSERT (note, unit) ON app.readings TO classes_owner;
GRANT USAGE ON SEQUENCE app.readings_id_seq TO classes_zed WITH GRANT OPTION;
REVOKE UPDATE ON SEQUENCE app.readings_id_seq FROM classes_owner;
GRANT SELECT ON SEQUENCE app.readings_number_seq TO classes_zed;
SET ROLE classes_zed;
GRANT SELECT ON app.readings TO classes_yan WITH GRANT OPTION;
GRANT USAGE ON SEQUENCE app.readings_id_seq TO classes_yan WITH GRANT OPTION;
GRANT SELECT ON app.readings TO classes_owner;
GRANT USAGE ON SEQUENCE app.readings_id_seq TO classes_owner;
SET ROLE classes_yan;
GRANT SELECT ON app.readings TO classes_xav;
GRANT SELECT (value) ON app.readings TO classes_xav;
GRANT USAGE ON SEQUENCE app.readings_id_seq TO classes_xav;
RESET ROLE;

CREATE TABLE app.alarms (id bigint, at timestamptz);
ALTER TABLE app.alarms ADD CONSTRAINT alarms_reading FOREIGN KEY (id, at) REFERENCES app.readings (id, at) ON DELETE CASCADE;

CREATE VIEW app.recent WITH (security_barrier) AS SELECT id, at, note FROM app.readings WHERE value > 5;
ALTER VIEW app.recent ALTER note SET DEFAULT 'none';
ALTER VIEW app.recent OWNER TO classes_owner;
CREATE TRIGGER instead INSTEAD OF INSERT ON app.recent FOR EACH ROW EXECUTE FUNCTION app.nothing();
CREATE RULE silent AS ON DELETE TO app.recent DO INSTEAD NOTHING;
CREATE VIEW app.of_view AS SELECT count(*) AS rows FROM app.recent;
GRANT SELECT ON app.recent TO classes_xav;
CREATE FUNCTION app.count_readings() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM app.readings; END;
CREATE FUNCTION app.size(of regclass DEFAULT 'app.readings') RETURNS bigint LANGUAGE sql AS 'SELECT pg_relation_size(of)';
CREATE PROCEDURE app.forget(old bigint) LANGUAGE sql BEGIN ATOMIC DELETE FROM app.readings WHERE id = old; END;
GRANT EXECUTE ON FUNCTION app.count_readings() TO classes_zed;

CREATE MATERIALIZED VIEW app.days USING other WITH (fillfactor = 60, toast.autovacuum_enabled = false) AS
    SELECT at::date AS day, unit, note, count(*) AS rows FROM app.readings GROUP BY 1, 2, 3;
CREATE UNIQUE INDEX days_day ON app.days (day, unit, note);
CREATE INDEX days_rows ON app.days (rows DESC) WITH (fillfactor = 50);
CREATE STATISTICS planner.days_units (mcv) ON day, unit FROM app.days;
ALTER STATISTICS planner.days_units SET STATISTICS 60;
ALTER MATERIALIZED VIEW app.days
    ALTER note SET STORAGE EXTERNAL, ALTER note SET COMPRESSION pglz, ALTER unit SET STATISTICS 200, ALTER unit SET (n_distinct = 5);
ALTER MATERIALIZED VIEW app.days CLUSTER ON days_day;
ALTER TABLE app.days REPLICA IDENTITY FULL;
ALTER MATERIALIZED VIEW app.days OWNER TO classes_zed;
GRANT SELECT ON app.days TO classes_xav;
GRANT UPDATE (rows) ON app.days TO classes_yan;
REVOKE INSERT, DELETE ON app.days FROM classes_zed;
CREATE VIEW app.busy_days AS SELECT * FROM app.days WHERE rows > 1;
CREATE MATERIALIZED VIEW app.empty AS SELECT max(at) AS newest FROM app.readings WITH NO DATA;

CREATE PUBLICATION changes FOR TABLE app.readings (id, at, note) WHERE (id > 5), app.units WITH (publish = 'insert, update');
ALTER PUBLICATION changes OWNER TO classes_owner;

COMMENT ON TABLE app.readings IS 'a table';
COMMENT ON COLUMN app.readings.note IS 'a column';
COMMENT ON INDEX app.readings_note IS 'an index';
COMMENT ON INDEX app.readings_pkey IS 'the index of the key';
COMMENT ON CONSTRAINT readings_pkey ON app.readings IS 'the key';
COMMENT ON CONSTRAINT readings_once ON app.readings IS 'a unique constraint';
COMMENT ON CONSTRAINT readings_value ON app.readings IS 'a check';
COMMENT ON CONSTRAINT readings_small ON app.readings IS 'a check for new rows';
COMMENT ON CONSTRAINT readings_unit ON app.readings IS 'a foreign key';
COMMENT ON CONSTRAINT must_happen ON app.readings IS 'a NOT NULL constraint';
COMMENT ON CONSTRAINT alarms_reading ON app.alarms IS 'a foreign key to the table';
COMMENT ON TRIGGER every_row ON app.readings IS 'a trigger';
COMMENT ON POLICY all_rows ON app.readings IS 'a policy';
COMMENT ON STATISTICS planner.unit_and_note IS 'statistics';
COMMENT ON SEQUENCE app.readings_id_seq IS 'a sequence';
COMMENT ON SEQUENCE app.readings_number_seq IS 'an owned sequence';
COMMENT ON VIEW app.recent IS 'a view';
COMMENT ON COLUMN app.recent.note IS 'a column of a view';
COMMENT ON RULE silent ON app.recent IS 'a rule of a view';
COMMENT ON FUNCTION app.count_readings() IS 'a function';
COMMENT ON MATERIALIZED VIEW app.days IS 'a materialized view';
COMMENT ON COLUMN app.days.day IS 'a column of a materialized view';
COMMENT ON INDEX app.days_day IS 'an index of a materialized view';
COMMENT ON STATISTICS planner.days_units IS 'statistics of a materialized view';
COMMENT ON PUBLICATION changes IS 'a publication';
ANALYZE;
