CREATE TABLE documents (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    filed_at timestamptz NOT NULL,
    title text,
    body jsonb,
    tags text[],
    place point,
    period tstzrange,
    size integer
);
CREATE INDEX documents_filed_at ON documents (filed_at DESC NULLS LAST, id);
CREATE INDEX documents_brin ON documents USING brin (filed_at timestamptz_minmax_multi_ops) WITH (pages_per_range = 16, autosummarize = on);
CREATE INDEX documents_body ON documents USING gin (body jsonb_path_ops) WITH (fastupdate = off);
CREATE INDEX documents_tags ON documents USING gin (tags);
CREATE INDEX documents_hash ON documents USING hash (title);
CREATE INDEX documents_place ON documents USING gist (place, period range_ops);
CREATE INDEX documents_spgist ON documents USING spgist (title);
CREATE INDEX documents_prefix ON documents (title text_pattern_ops, (body ->> 'kind') COLLATE "C" DESC) INCLUDE (size) WITH (fillfactor = 70);
CREATE INDEX documents_words ON documents USING gin (to_tsvector('simple', coalesce(title, '') || ' USING x WHERE y')) WHERE size > 10;
CREATE INDEX documents_partial ON documents (lower(title)) WHERE size IS NOT NULL AND title <> 'it''s USING gin (x)';
CREATE UNIQUE INDEX documents_unique ON documents (title, filed_at, size) NULLS NOT DISTINCT WHERE size > 0;
CREATE INDEX documents_twin ON documents (size);
CREATE INDEX documents_twin_too ON documents (size);
COMMENT ON INDEX documents_twin_too IS 'it''s a twin';
INSERT INTO documents (filed_at, title, body, tags, place, period, size)
SELECT moment, 'title ' || n, jsonb_build_object('kind', n % 7), ARRAY['t' || n % 3, NULL], point(n, -n), tstzrange(moment, moment + interval '1 day'), n
  FROM pg_temp.moments(300);
