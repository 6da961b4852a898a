CREATE TABLE sales (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sold_at timestamptz NOT NULL,
    net numeric,
    gross numeric GENERATED ALWAYS AS (net * 1.19) VIRTUAL,
    twice numeric GENERATED ALWAYS AS (net * 2) STORED
);
INSERT INTO sales (sold_at, net) SELECT moment, n FROM pg_temp.moments(300);
