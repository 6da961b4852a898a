CREATE TABLE visits (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, seen_at timestamptz, page text);
INSERT INTO visits (seen_at, page) SELECT moment, n FROM pg_temp.moments(100);
