CREATE TABLE stock (id bigint GENERATED ALWAYS AS IDENTITY, counted_at timestamptz NOT NULL, pieces integer,
                    CONSTRAINT stock_key PRIMARY KEY (id) INCLUDE (pieces) WITH (fillfactor = 70));
INSERT INTO stock (counted_at, pieces) SELECT moment, n FROM pg_temp.moments(300);
