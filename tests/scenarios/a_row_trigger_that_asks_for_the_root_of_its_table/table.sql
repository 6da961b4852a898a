CREATE TABLE audit (t regclass, id bigint);
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL, total int);
INSERT INTO orders (at, total) SELECT moment, n FROM pg_temp.moments(100);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.audit VALUES (coalesce(pg_partition_root(TG_RELID), TG_RELID), NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION note();
CREATE FUNCTION by_statement() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM TG_TABLE_NAME; RETURN NULL; END $$;
CREATE TRIGGER by_statement AFTER INSERT ON orders FOR EACH STATEMENT EXECUTE FUNCTION by_statement();
