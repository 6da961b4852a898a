CREATE EXTENSION pg_stat_statements;
CREATE TABLE events (id uuid PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT clock_timestamp(), body text);
INSERT INTO events SELECT gen_random_uuid(), moment, 'x' FROM pg_temp.moments(100);
INSERT INTO events (id, body) VALUES ('00000000-0000-0000-0000-000000000001', 'a') ON CONFLICT DO NOTHING;
