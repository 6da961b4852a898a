CREATE FUNCTION uuid7_at(moment timestamptz) RETURNS uuid LANGUAGE sql AS $$
    SELECT overlay(overlay(gen_random_uuid()::text placing '7' from 15)
                   placing overlay(lpad(to_hex(floor(extract(epoch FROM moment) * 1000)::bigint), 12, '0') placing '-' from 9 for 0) from 1)::uuid
$$;
CREATE TABLE events (id uuid DEFAULT uuid7_at(now()) PRIMARY KEY, kind text NOT NULL);
CREATE TABLE notes (
    event_id uuid NOT NULL,
    CONSTRAINT notes_event FOREIGN KEY (event_id) REFERENCES events (id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX ON notes (event_id);
INSERT INTO events SELECT uuid7_at(moment), 'kind ' || n FROM pg_temp.moments(600);
INSERT INTO notes SELECT id FROM events WHERE kind LIKE '%7';
