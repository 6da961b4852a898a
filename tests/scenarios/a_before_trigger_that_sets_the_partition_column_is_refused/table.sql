CREATE TABLE comments (id bigint PRIMARY KEY, edited_at timestamptz NOT NULL, text text);
CREATE FUNCTION stamp_it() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.edited_at := clock_timestamp();
    RETURN NEW;
END $$;
INSERT INTO comments SELECT n, moment FROM pg_temp.moments(100);
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON comments FOR EACH ROW EXECUTE FUNCTION stamp_it();
