CREATE TABLE contracts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ends_at timestamptz NOT NULL, text text);
INSERT INTO contracts (ends_at) SELECT now() + n * interval '5 months' FROM generate_series(-70, 60) AS n;
INSERT INTO contracts (ends_at) VALUES (now() - interval '60 years'), (now() + interval '40 years');
