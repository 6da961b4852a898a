CREATE TABLE orders (id bigint PRIMARY KEY, ordered_at timestamptz NOT NULL);
CREATE VIEW order_rows AS SELECT o AS whole FROM orders AS o;
INSERT INTO orders SELECT n, moment FROM pg_temp.moments(100);
