CREATE TABLE payments (id bigint PRIMARY KEY, paid_at timestamptz NOT NULL, reference text);
CREATE UNIQUE INDEX payments_reference ON payments (lower(reference)) WHERE reference IS NOT NULL;
INSERT INTO payments SELECT n, moment, n FROM pg_temp.moments(100);
