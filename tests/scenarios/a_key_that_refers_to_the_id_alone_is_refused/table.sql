CREATE TABLE orders (id bigint PRIMARY KEY, ordered_at timestamptz NOT NULL);
CREATE TABLE lines (order_id bigint CONSTRAINT lines_order REFERENCES orders);
INSERT INTO orders SELECT n, moment FROM pg_temp.moments(100);
