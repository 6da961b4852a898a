CREATE TABLE orders (id bigint PRIMARY KEY, ordered_at timestamptz NOT NULL);
CREATE FUNCTION latest_orders() RETURNS SETOF orders LANGUAGE sql STABLE AS 'SELECT * FROM orders ORDER BY ordered_at DESC LIMIT 10';
INSERT INTO orders SELECT n, moment FROM pg_temp.moments(100);
