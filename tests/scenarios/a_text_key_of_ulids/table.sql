CREATE FUNCTION ulid_at(moment timestamptz) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', ((floor(extract(epoch FROM moment) * 1000)::bigint >> 5 * (10 - n)) & 31)::int + 1, 1), '' ORDER BY n)
           || upper(left(replace(gen_random_uuid()::text, '-', ''), 16))
      FROM generate_series(1, 10) AS n
$$;
CREATE TABLE "Jobs" (id text COLLATE "C" PRIMARY KEY, state text);
INSERT INTO "Jobs" SELECT ulid_at(moment), 'state ' || n FROM pg_temp.moments(600);
