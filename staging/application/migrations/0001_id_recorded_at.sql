-- The key of the partitioned table, before there is one: `ON CONFLICT (id, recorded_at)` is then served before, during and
-- after the migration. On a large live table create it CONCURRENTLY, outside a transaction.
CREATE UNIQUE INDEX IF NOT EXISTS sensor_readings_id_recorded_at ON sensor_readings (id, recorded_at);
