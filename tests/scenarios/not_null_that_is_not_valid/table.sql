CREATE TABLE parcels (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sent_at timestamptz NOT NULL, note text);
INSERT INTO parcels (sent_at, note) SELECT moment, nullif(n % 5, 0) FROM pg_temp.moments(300);
ALTER TABLE parcels ADD CONSTRAINT must_be_noted NOT NULL note NOT VALID;
