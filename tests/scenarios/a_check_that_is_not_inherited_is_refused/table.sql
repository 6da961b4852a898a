CREATE TABLE orders (id bigint PRIMARY KEY, ordered_at timestamptz NOT NULL, total numeric, CONSTRAINT paid CHECK (total > 0) NO INHERIT);
INSERT INTO orders SELECT n, moment FROM pg_temp.moments(100);
