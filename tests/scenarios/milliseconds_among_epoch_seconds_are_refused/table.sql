CREATE TABLE clicks (id bigint PRIMARY KEY, at bigint NOT NULL);
INSERT INTO clicks SELECT n, extract(epoch FROM moment)::bigint FROM pg_temp.moments(100);
INSERT INTO clicks VALUES (-1, -1), (-2, 1767225600000);
