CREATE TABLE finds (id bigint PRIMARY KEY, dated timestamptz NOT NULL);
INSERT INTO finds VALUES (1, '4000-01-01 BC'), (2, now());
