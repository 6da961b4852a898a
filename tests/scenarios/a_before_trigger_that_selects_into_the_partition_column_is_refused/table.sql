CREATE TABLE posts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL, body text);
INSERT INTO posts (at, body) SELECT moment, 'x' FROM pg_temp.moments(100);
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN SELECT coalesce(NEW.at, now()) INTO NEW.at; RETURN NEW; END $$;
CREATE TRIGGER stamp BEFORE INSERT ON posts FOR EACH ROW EXECUTE FUNCTION stamp();
