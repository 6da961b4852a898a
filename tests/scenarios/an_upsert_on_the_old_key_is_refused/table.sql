CREATE EXTENSION pg_stat_statements;
CREATE TABLE orders (id bigint PRIMARY KEY, ordered_at timestamptz NOT NULL, total numeric);
INSERT INTO orders SELECT n, moment FROM pg_temp.moments(100);
INSERT INTO orders VALUES (1, now(), 2) ON CONFLICT (id) DO UPDATE SET total = excluded.total;
