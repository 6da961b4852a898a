CREATE TABLE payments (id bigint PRIMARY KEY, paid_at timestamptz NOT NULL, reference text CONSTRAINT one_reference UNIQUE);
INSERT INTO payments SELECT n, moment, n FROM pg_temp.moments(100);
