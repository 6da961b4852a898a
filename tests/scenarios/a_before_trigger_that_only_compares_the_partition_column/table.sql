CREATE TABLE posts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL, body text, touched integer NOT NULL DEFAULT 0);
INSERT INTO posts (at, body) SELECT moment, 'x' FROM pg_temp.moments(100);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- never NEW.at := now()
    IF NEW.at = OLD.at THEN
        NEW.touched := NEW.touched + 1;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER touch BEFORE UPDATE ON posts FOR EACH ROW EXECUTE FUNCTION touch();
