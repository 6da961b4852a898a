CREATE SCHEMA master_data;
CREATE TABLE master_data.sites (country text, site integer, PRIMARY KEY (country, site));
CREATE TABLE units (id uuid DEFAULT gen_random_uuid() PRIMARY KEY, code text UNIQUE);
CREATE TABLE measurements (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    measured_at timestamptz NOT NULL,
    country text,
    site integer,
    unit uuid,
    unit_code text DEFAULT 'u1',
    CONSTRAINT measurements_site FOREIGN KEY (country, site) REFERENCES master_data.sites MATCH FULL ON DELETE SET NULL ON UPDATE CASCADE,
    CONSTRAINT measurements_unit FOREIGN KEY (unit) REFERENCES units ON DELETE RESTRICT,
    CONSTRAINT measurements_code FOREIGN KEY (unit_code) REFERENCES units (code) ON DELETE SET DEFAULT DEFERRABLE
);
COMMENT ON CONSTRAINT measurements_site ON measurements IS 'where it was measured';
INSERT INTO master_data.sites SELECT 'DE', generate_series(1, 5);
INSERT INTO units (code) SELECT 'u' || n FROM generate_series(1, 5) AS n;
INSERT INTO measurements (measured_at, country, site, unit_code) SELECT moment, 'DE', 1 + n % 5, 'u' || 1 + n % 5 FROM pg_temp.moments(400);
