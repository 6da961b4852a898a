CREATE TABLE orders (id bigint PRIMARY KEY, ordered_at timestamptz NOT NULL, customer text);
CREATE TABLE lines (order_id bigint);
CREATE VIEW order_sizes AS SELECT o.id, o.customer, count(*) FROM orders AS o JOIN lines AS l ON l.order_id = o.id GROUP BY o.id;
INSERT INTO orders SELECT n, moment, 'c' FROM pg_temp.moments(100);
