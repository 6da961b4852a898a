CREATE TABLE stock (id bigint, counted_at timestamptz NOT NULL, CONSTRAINT stock_key PRIMARY KEY (id) WITH (fillfactor = 70));
INSERT INTO stock SELECT n, moment FROM pg_temp.moments(100);
