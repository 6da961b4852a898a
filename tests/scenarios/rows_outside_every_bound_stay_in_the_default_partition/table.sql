CREATE TABLE imports (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, made_at timestamptz NOT NULL, text text);
INSERT INTO imports (made_at) SELECT moment FROM pg_temp.moments(300);
CREATE FUNCTION far(moment timestamptz, n bigint) RETURNS timestamptz LANGUAGE sql AS $$
    SELECT CASE WHEN to_regclass('public.imports_default') IS NULL THEN moment
                ELSE (ARRAY['4713-01-01 BC', '1582-10-15', '9999-12-31', '294276-12-31 23:59:59.999999'])[1 + n % 4]::timestamptz END
$$;
