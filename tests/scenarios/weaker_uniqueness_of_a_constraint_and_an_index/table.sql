CREATE TABLE payments (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    paid_at timestamptz NOT NULL,
    reference text CONSTRAINT one_reference UNIQUE,
    note text
);
CREATE UNIQUE INDEX payments_note ON payments (lower(note)) WHERE note IS NOT NULL;
COMMENT ON CONSTRAINT one_reference ON payments IS 'of the bank';
INSERT INTO payments (paid_at, reference) SELECT moment, n FROM pg_temp.moments(300);
