CREATE TABLE posts (id bigint PRIMARY KEY, "At" date NOT NULL DEFAULT '2019-05-05', body text);
INSERT INTO posts SELECT n, moment::date, 'x' FROM pg_temp.moments(100);
CREATE FUNCTION fields(text) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('At', current_date) $$;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW := jsonb_populate_record(NEW, fields(NEW.body)); RETURN NEW; END $$;
CREATE TRIGGER stamp BEFORE INSERT ON posts FOR EACH ROW EXECUTE FUNCTION stamp();
