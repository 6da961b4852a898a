CREATE TABLE orders (id bigint PRIMARY KEY, ordered_at timestamptz NOT NULL);
CREATE FUNCTION title(orders) RETURNS text LANGUAGE sql AS 'SELECT $1.id::text';
INSERT INTO orders SELECT n, moment FROM pg_temp.moments(100);
