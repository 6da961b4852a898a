CREATE FUNCTION uuid7_at(moment timestamptz) RETURNS uuid LANGUAGE sql AS $$
    SELECT overlay(overlay(gen_random_uuid()::text placing '7' from 15)
                   placing overlay(lpad(to_hex(floor(extract(epoch FROM moment) * 1000)::bigint), 12, '0') placing '-' from 9 for 0) from 1)::uuid
$$;
CREATE TABLE events (id uuid PRIMARY KEY);
INSERT INTO events SELECT uuid7_at(moment) FROM pg_temp.moments(100);
INSERT INTO events VALUES ('9b2f1c4e-5d7a-4e1b-8f3c-0a1b2c3d4e5f'), ('019b2f1c-5d7a-4e1b-8f3c-0a1b2c3d4e5f');
