CREATE TABLE audit (t name, r oid, id bigint);
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL, total int);
INSERT INTO orders (at, total) SELECT moment, n FROM pg_temp.moments(100);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_LEVEL = 'ROW' THEN
        INSERT INTO public.audit VALUES (TG_TABLE_NAME, TG_RELID, NEW.id);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER by_statement AFTER INSERT ON orders FOR EACH STATEMENT EXECUTE FUNCTION note();
