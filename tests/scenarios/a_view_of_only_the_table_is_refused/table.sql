CREATE TABLE orders (id bigint PRIMARY KEY, ordered_at timestamptz NOT NULL);
CREATE VIEW own_orders AS SELECT id FROM ONLY orders;
INSERT INTO orders SELECT n, moment FROM pg_temp.moments(100);
