CREATE TABLE posts (id bigint PRIMARY KEY, at timestamptz NOT NULL, body text);
INSERT INTO posts SELECT n, moment, 'x' FROM pg_temp.moments(100);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN jsonb_populate_record(NEW, jsonb_build_object(TG_ARGV[0], now()));
END $$;
CREATE TRIGGER stamp BEFORE UPDATE ON posts FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION touch('at');
