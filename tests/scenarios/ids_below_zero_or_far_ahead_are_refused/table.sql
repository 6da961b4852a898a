CREATE TABLE clicks (id bigint PRIMARY KEY, content text);
INSERT INTO clicks SELECT n, 'click' FROM generate_series(1, 30000, 100) AS n;
INSERT INTO clicks VALUES (-7), (4611686018427387904), (2000000000);
