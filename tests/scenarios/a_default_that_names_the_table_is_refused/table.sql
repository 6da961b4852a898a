CREATE TABLE orders (id bigint PRIMARY KEY, ordered_at timestamptz NOT NULL);
CREATE TABLE changes (of regclass DEFAULT 'orders'::regclass, change text);
INSERT INTO orders SELECT n, moment FROM pg_temp.moments(100);
