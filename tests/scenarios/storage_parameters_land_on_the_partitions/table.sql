CREATE TABLE positions (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, seen_at timestamptz NOT NULL, place text)
    WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, parallel_workers = 3, toast_tuple_target = 1000,
          toast.autovacuum_enabled = false, toast.vacuum_truncate = off);
INSERT INTO positions (seen_at, place) SELECT moment, n FROM pg_temp.moments(300);
