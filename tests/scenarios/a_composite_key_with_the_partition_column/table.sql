CREATE TABLE meter_readings (
    read_at timestamptz,
    tenant integer,
    meter text,
    kwh numeric NOT NULL,
    CONSTRAINT one_reading_at_a_time PRIMARY KEY (tenant, read_at, meter)
);
INSERT INTO meter_readings SELECT moment, n % 3, 'm' || n % 40, n FROM pg_temp.moments(600) ON CONFLICT DO NOTHING;
