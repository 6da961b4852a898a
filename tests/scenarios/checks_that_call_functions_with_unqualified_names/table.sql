CREATE TABLE known_prefixes (prefix text PRIMARY KEY);
INSERT INTO known_prefixes VALUES ('A'), ('B');
CREATE FUNCTION is_code(code text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM known_prefixes WHERE prefix = left(code, 1));
END $$;
CREATE FUNCTION short(code text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN lower(left(code, 3)); END $$;
CREATE FUNCTION shorter(code text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN left(public.short(code), 2); END $$;
CREATE TABLE articles (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    listed_at timestamptz NOT NULL,
    code text CHECK (is_code(code)),
    short text GENERATED ALWAYS AS (short(code)) STORED
);
CREATE INDEX articles_short ON articles (shorter(code));
INSERT INTO articles (listed_at, code) SELECT moment, 'A' || n FROM pg_temp.moments(300);
