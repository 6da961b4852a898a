-- Objects that no migration carries, all in one database. The title of each has the type of its entry in a dump, the
-- check that refuses it, the name that the check tells, and the first server that knows it, if that is later than 14.
CREATE ROLE classes_owner;
CREATE ROLE classes_zed;
CREATE ROLE classes_xav;
CREATE TABLE readings (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL, value integer, mine integer DEFAULT 1, source oid);
INSERT INTO readings (at, value) SELECT now() - n * interval '1 day', n FROM generate_series(1, 60) n;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE logs (relation oid, value integer);
CREATE MATERIALIZED VIEW days AS SELECT at::date AS day, count(*) AS rows FROM readings GROUP BY 1;
CREATE MATERIALIZED VIEW plain AS SELECT max(at) AS newest FROM readings;

-- TYPE | row_type | composite type pair
CREATE TYPE pair AS (one readings);

-- TYPE | row_type | composite type many
CREATE TYPE many AS (others readings[]);

-- DOMAIN | row_type | type filled
CREATE DOMAIN filled AS readings CHECK ((VALUE).value > 0);

-- TABLE | row_type | table versions
CREATE TABLE versions (before readings);

-- FUNCTION | functions | same(readings,readings)
CREATE FUNCTION same(readings, readings) RETURNS boolean LANGUAGE sql AS 'SELECT $1.id = $2.id';

-- PROCEDURE | functions | keep(readings)
CREATE PROCEDURE keep(readings) LANGUAGE sql AS 'SELECT 1';

-- AGGREGATE | functions | last(readings)
CREATE FUNCTION later(readings, readings) RETURNS readings LANGUAGE sql AS 'SELECT $2';
CREATE AGGREGATE last(readings) (SFUNC = later, STYPE = readings);

-- OPERATOR | row_type | operator ===(readings,readings)
CREATE OPERATOR === (LEFTARG = readings, RIGHTARG = readings, FUNCTION = same);

-- OPERATOR CLASS | row_type | operator class by_hash
CREATE FUNCTION hash(readings) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE OPERATOR CLASS by_hash FOR TYPE readings USING hash AS FUNCTION 1 hash(readings);

-- CAST | row_type | cast from readings to jsonb
CREATE FUNCTION as_text(readings) RETURNS jsonb LANGUAGE sql AS 'SELECT to_jsonb($1)';
CREATE CAST (readings AS jsonb) WITH FUNCTION as_text(readings);

-- TRANSFORM | row_type | transform for readings language sql
CREATE TRANSFORM FOR readings LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal));

-- VIEW | row_type | view whole
CREATE VIEW whole AS SELECT r FROM readings r;

-- FUNCTION | functions | of_days()
CREATE FUNCTION of_days() RETURNS SETOF days LANGUAGE sql AS 'TABLE days';

-- TABLE | row_type | table day_versions
CREATE TABLE day_versions (before days);

-- VIEW | row_type | view whole_days
CREATE VIEW whole_days AS SELECT d FROM days d;

-- DEFAULT | other_dependants | column relation of table logs
ALTER TABLE logs ALTER relation SET DEFAULT 'readings'::regclass;

-- DEFAULT | other_dependants | column view of table logs
ALTER TABLE logs ADD view regclass DEFAULT 'days'::regclass;

-- CHECK CONSTRAINT | other_dependants | constraint of_readings on table logs
ALTER TABLE logs ADD CONSTRAINT of_readings CHECK (relation = 'readings'::regclass);

-- CHECK CONSTRAINT | other_dependants | constraint a_reading
CREATE DOMAIN a_table AS oid CONSTRAINT a_reading CHECK (VALUE = 'readings'::regclass);

-- INDEX | other_dependants | index logs_of
CREATE INDEX logs_of ON logs ((relation = 'readings'::regclass));

-- STATISTICS | other_dependants | statistics object logs_by
CREATE STATISTICS logs_by ON (relation = 'readings'::regclass), value FROM logs;

-- TRIGGER | other_dependants | trigger logged on table logs
CREATE TRIGGER logged BEFORE INSERT ON logs FOR EACH ROW WHEN (NEW.relation = 'readings'::regclass) EXECUTE FUNCTION nothing();

-- TRIGGER | other_dependants | trigger paired on table logs
CREATE CONSTRAINT TRIGGER paired AFTER INSERT ON logs FROM readings FOR EACH ROW EXECUTE FUNCTION nothing();

-- TABLE | other_dependants | table parts
CREATE TABLE parts (relation oid) PARTITION BY LIST ((relation = 'readings'::regclass));

-- PUBLICATION TABLE | other_dependants | publication of table logs in publication of_logs | 15
CREATE PUBLICATION of_logs FOR TABLE logs WHERE (relation = 'readings'::regclass) WITH (publish = 'insert');

-- VIEW | other_dependants | in another session
CREATE TEMPORARY VIEW mine AS SELECT id FROM readings;

-- VIEW | other_dependants | view numbers
CREATE VIEW numbers AS SELECT last_value FROM readings_id_seq;

-- DEFAULT | own_name | default of source
ALTER TABLE readings ALTER source SET DEFAULT 'readings'::regclass;

-- CHECK CONSTRAINT | own_name | constraint elsewhere
ALTER TABLE readings ADD CONSTRAINT elsewhere CHECK (source <> 'readings'::regclass);

-- INDEX | own_name | index readings_own
CREATE INDEX readings_own ON readings ((source = 'readings'::regclass));

-- STATISTICS | own_name | statistics readings_by
CREATE STATISTICS readings_by ON (source = 'readings'::regclass), value FROM readings;

-- TRIGGER | own_name | trigger own
CREATE TRIGGER own BEFORE INSERT ON readings FOR EACH ROW WHEN (NEW.source = 'readings'::regclass) EXECUTE FUNCTION nothing();

-- PUBLICATION TABLE | own_name | publication own_rows | 15
CREATE PUBLICATION own_rows FOR TABLE readings WHERE (source = 'readings'::regclass) WITH (publish = 'insert');

-- RULE | rules | own
CREATE RULE own AS ON DELETE TO readings DO ALSO NOTIFY gone;

-- RULE | rules_elsewhere | elsewhere on logs
CREATE RULE elsewhere AS ON INSERT TO logs DO ALSO INSERT INTO readings (at) VALUES (now());

-- RULE | rules_elsewhere | of_days on logs
CREATE RULE of_days AS ON DELETE TO logs DO ALSO SELECT count(*) FROM days;

-- CONSTRAINT | exclusion_constraints | apart
ALTER TABLE readings ADD CONSTRAINT apart EXCLUDE USING gist (int8range(id, id + 1) WITH &&);

-- CONSTRAINT | temporal_constraints | once | 18
ALTER TABLE readings ADD places int4range, ADD CONSTRAINT once UNIQUE (places, at_range WITHOUT OVERLAPS), ADD at_range tstzrange;

-- CHECK CONSTRAINT | constraints_not_inherited | positive
ALTER TABLE readings ADD CONSTRAINT positive CHECK (value > 0) NO INHERIT;

-- TABLE | not_null_not_valid | filled | 18
ALTER TABLE readings ADD CONSTRAINT filled NOT NULL value NOT VALID;

-- TABLE | constraints_not_inherited | only_mine | 18
ALTER TABLE readings ADD CONSTRAINT only_mine NOT NULL mine NO INHERIT;

-- FK CONSTRAINT | inbound_keys | alarmed
CREATE TABLE alarms (id bigint CONSTRAINT alarmed REFERENCES readings);

-- VIEW | views | grouped
CREATE VIEW grouped AS SELECT id, value FROM readings GROUP BY id;

-- VIEW | views | only_this reads ONLY
CREATE VIEW only_this AS SELECT id FROM ONLY readings;

-- MATERIALIZED VIEW | nested_materialized_views | months reads days
CREATE MATERIALIZED VIEW months AS SELECT sum(rows) AS rows FROM days;

-- TRIGGER | triggers | added has transition tables
CREATE TRIGGER added AFTER INSERT ON readings REFERENCING NEW TABLE AS added FOR EACH ROW EXECUTE FUNCTION nothing();

-- PUBLICATION | publications | everything
CREATE PUBLICATION everything FOR ALL TABLES;

-- PUBLICATION TABLES IN SCHEMA | publications | of_schema | 15
CREATE PUBLICATION of_schema FOR TABLES IN SCHEMA public;

-- PUBLICATION TABLE | published_columns | lacking (id) | 15
CREATE PUBLICATION lacking FOR TABLE readings (id);

-- SECURITY LABEL | security_labels | provider: label of readings
INSERT INTO pg_seclabel VALUES ('readings'::regclass, 'pg_class'::regclass, 0, 'provider', 'label of readings');

-- SECURITY LABEL | security_labels | provider: label of value
INSERT INTO pg_seclabel VALUES ('readings'::regclass, 'pg_class'::regclass, 3, 'provider', 'label of value');

-- SECURITY LABEL | security_labels | label of readings_id_seq
INSERT INTO pg_seclabel VALUES ('readings_id_seq'::regclass, 'pg_class'::regclass, 0, 'provider', 'label of readings_id_seq');

-- SECURITY LABEL | security_labels | label of days
INSERT INTO pg_seclabel VALUES ('days'::regclass, 'pg_class'::regclass, 1, 'provider', 'label of days');

-- EXTENSION | extension | plpgsql
ALTER EXTENSION plpgsql ADD TABLE readings;

-- EXTENSION | extension | materialized view plain
ALTER EXTENSION plpgsql ADD MATERIALIZED VIEW plain;

-- ACL | grants_by_others | SELECT on days to classes_xav by classes_zed
ALTER MATERIALIZED VIEW days OWNER TO classes_owner;
GRANT SELECT ON days TO classes_zed WITH GRANT OPTION;
SET ROLE classes_zed;
GRANT SELECT ON days TO classes_xav;
RESET ROLE;
GRANT classes_owner TO classes_zed;

-- FUNCTION | extension_dependents | count_days()
CREATE FUNCTION count_days() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM days; END;
ALTER FUNCTION count_days() DEPENDS ON EXTENSION plpgsql;

-- INDEX | invalid_indexes | days_day of materialized view days
CREATE INDEX days_day ON days (day);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'days_day'::regclass;

-- STATISTICS | names_fit | days_by_new
CREATE STATISTICS days_by (ndistinct) ON day, rows FROM days;
CREATE STATISTICS days_by_new (ndistinct) ON id, value FROM readings;
