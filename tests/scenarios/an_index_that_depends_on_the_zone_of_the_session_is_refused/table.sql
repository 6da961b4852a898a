CREATE FUNCTION local_day(timestamptz) RETURNS date LANGUAGE sql IMMUTABLE AS 'SELECT $1::date';
CREATE TABLE calls (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL, kind text);
CREATE INDEX by_day ON calls (public.local_day(at));
INSERT INTO calls (at) SELECT moment FROM pg_temp.moments(100);
