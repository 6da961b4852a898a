CREATE TABLE orders (id bigint PRIMARY KEY, ordered_at timestamptz NOT NULL);
CREATE TABLE order_versions (before orders, after orders[]);
INSERT INTO orders SELECT n, moment FROM pg_temp.moments(100);
