CREATE TABLE pictures (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, taken_at timestamptz NOT NULL, title text, pixels text, meta jsonb);
ALTER TABLE pictures ALTER pixels SET STORAGE EXTERNAL;
INSERT INTO pictures (taken_at, title, pixels, meta)
SELECT moment, n, repeat(md5(n::text), 600), jsonb_build_object('a', repeat('b', 30000), 'n', (SELECT jsonb_agg(md5((n * i)::text)) FROM generate_series(1, 200) AS i))
  FROM pg_temp.moments(100);
