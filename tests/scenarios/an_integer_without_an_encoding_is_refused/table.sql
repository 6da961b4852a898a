CREATE TABLE clicks (id bigint PRIMARY KEY, at integer NOT NULL);
INSERT INTO clicks SELECT n, extract(epoch FROM moment)::int FROM pg_temp.moments(100);
