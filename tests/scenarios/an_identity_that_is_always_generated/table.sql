CREATE TABLE readings (
    id bigint GENERATED ALWAYS AS IDENTITY (START WITH 100 INCREMENT BY 3 CACHE 5) PRIMARY KEY,
    recorded_at timestamptz NOT NULL,
    temperature numeric(6, 2)
);
INSERT INTO readings (recorded_at, temperature) SELECT moment, n / 7.0 FROM pg_temp.moments(600);
