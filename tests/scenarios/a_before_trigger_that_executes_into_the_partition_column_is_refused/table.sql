CREATE TABLE posts (id bigint PRIMARY KEY, at timestamp NOT NULL, body text);
INSERT INTO posts SELECT n, moment, 'x' FROM pg_temp.moments(100);
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SELECT localtimestamp' INTO NEW.at; RETURN NEW; END $$;
CREATE TRIGGER stamp BEFORE INSERT ON posts FOR EACH ROW WHEN (NEW.at IS NULL) EXECUTE FUNCTION stamp();
