CREATE TABLE mails (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sent_at timestamptz NOT NULL, text text);
CREATE INDEX ON mails (sent_at);
INSERT INTO mails (sent_at) SELECT moment FROM pg_temp.moments(300);
INSERT INTO mails (sent_at) SELECT far::timestamptz FROM unnest('{0001-01-01,1970-01-01,9999-12-31,9999-12-31}'::text[]) AS far;
CREATE FUNCTION far(n bigint) RETURNS timestamptz LANGUAGE sql AS $$
    SELECT (ARRAY['0001-01-01', '1582-10-15', '9999-12-31'])[1 + n % 3]::timestamptz
$$;
