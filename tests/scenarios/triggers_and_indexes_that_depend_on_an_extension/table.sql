CREATE TABLE alarms (id bigint GENERATED ALWAYS AS IDENTITY, rung_at timestamptz NOT NULL, code text, CONSTRAINT alarms_pkey PRIMARY KEY (id));
CREATE INDEX alarms_code_idx ON alarms (code);
CREATE FUNCTION keep_alarm() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER keep BEFORE INSERT ON alarms FOR EACH ROW EXECUTE FUNCTION keep_alarm();
CREATE TRIGGER see AFTER DELETE ON alarms FOR EACH STATEMENT EXECUTE FUNCTION keep_alarm();
ALTER TRIGGER keep ON alarms DEPENDS ON EXTENSION plpgsql;
ALTER INDEX alarms_code_idx DEPENDS ON EXTENSION plpgsql;
ALTER INDEX alarms_pkey DEPENDS ON EXTENSION plpgsql;
INSERT INTO alarms (rung_at, code) SELECT moment, n FROM pg_temp.moments(200);
