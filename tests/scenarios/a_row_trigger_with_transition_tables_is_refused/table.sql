CREATE TABLE jobs (id bigint PRIMARY KEY, queued_at timestamptz NOT NULL);
CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER sees_them_all AFTER UPDATE ON jobs REFERENCING NEW TABLE AS after FOR EACH ROW EXECUTE FUNCTION note_it();
INSERT INTO jobs SELECT n, moment FROM pg_temp.moments(100);
