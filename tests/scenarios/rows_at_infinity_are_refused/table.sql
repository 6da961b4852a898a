CREATE TABLE contracts (id bigint PRIMARY KEY, ends_at timestamptz NOT NULL);
INSERT INTO contracts VALUES (1, 'infinity'), (2, '-infinity'), (3, now());
