CREATE TABLE visits (id bigint, at timestamptz, PRIMARY KEY (id, at));
INSERT INTO visits SELECT n, moment FROM pg_temp.moments(300);
CREATE TABLE bills (id int PRIMARY KEY, visit bigint, visited_at timestamptz) PARTITION BY RANGE (id);
CREATE TABLE bills_first PARTITION OF bills FOR VALUES FROM (0) TO (100);
CREATE TABLE bills_rest PARTITION OF bills DEFAULT;
ALTER TABLE bills ADD CONSTRAINT billed FOREIGN KEY (visit, visited_at) REFERENCES visits ON DELETE CASCADE ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED;
INSERT INTO bills SELECT id, id, at FROM visits WHERE id <= 200;
