CREATE TABLE events (
    id uuid DEFAULT gen_random_uuid() PRIMARY KEY,
    happened_at timestamptz NOT NULL,
    kind text
);
CREATE INDEX events_kind ON events (kind);
INSERT INTO events (happened_at, kind) SELECT moment, (ARRAY['on', 'off', NULL])[1 + n % 3] FROM pg_temp.moments(600);
