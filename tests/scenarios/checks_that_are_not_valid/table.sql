CREATE TABLE sensors (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, seen_at timestamptz NOT NULL, battery integer, label text);
INSERT INTO sensors (seen_at, battery) SELECT moment, CASE WHEN n % 5 = 0 THEN -1 ELSE 50 END FROM pg_temp.moments(400);
ALTER TABLE sensors ADD CONSTRAINT battery_left CHECK (battery >= 0) NOT VALID;
ALTER TABLE sensors ADD CONSTRAINT label_or_battery CHECK (label <> '' OR battery IS NOT NULL);
COMMENT ON CONSTRAINT battery_left ON sensors IS 'since 2025';
