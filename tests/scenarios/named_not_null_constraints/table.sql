CREATE TABLE parcels (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sent_at timestamptz CONSTRAINT must_be_sent NOT NULL,
    weight numeric CONSTRAINT must_weigh NOT NULL,
    note text
);
COMMENT ON CONSTRAINT must_weigh ON parcels IS 'in kg';
INSERT INTO parcels (sent_at, weight) SELECT moment, n FROM pg_temp.moments(300);
