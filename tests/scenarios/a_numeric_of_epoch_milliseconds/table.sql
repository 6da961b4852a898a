CREATE TABLE samples (device bigint PRIMARY KEY, taken numeric(16, 3) NOT NULL);
CREATE INDEX ON samples (taken);
INSERT INTO samples SELECT n, extract(epoch FROM moment) * 1000 FROM pg_temp.moments(600);
