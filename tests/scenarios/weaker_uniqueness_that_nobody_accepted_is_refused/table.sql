CREATE TABLE orders (id bigint PRIMARY KEY, ordered_at timestamptz NOT NULL, invoice text CONSTRAINT one_invoice UNIQUE);
INSERT INTO orders SELECT n, moment FROM pg_temp.moments(100);
