CREATE TABLE prices (id int4range, valid tstzrange, entered_at timestamptz NOT NULL, price numeric, CONSTRAINT no_overlap PRIMARY KEY (id, valid WITHOUT OVERLAPS));
INSERT INTO prices SELECT int4range(n, n + 1), tstzrange(moment, NULL), moment FROM pg_temp.moments(100);
