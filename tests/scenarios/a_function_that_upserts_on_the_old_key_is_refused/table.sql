CREATE TABLE orders (id bigint PRIMARY KEY, ordered_at timestamptz NOT NULL);
CREATE PROCEDURE take_order(number bigint) LANGUAGE sql BEGIN ATOMIC INSERT INTO orders VALUES (number, now()) ON CONFLICT (id) DO NOTHING; END;
INSERT INTO orders SELECT n, moment FROM pg_temp.moments(100);
