CREATE TABLE entries (id bigint PRIMARY KEY, made_at timestamptz NOT NULL);
INSERT INTO entries SELECT n, moment FROM pg_temp.moments(100);
ALTER EXTENSION plpgsql ADD TABLE entries;
