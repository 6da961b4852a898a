-- The tables of a parcel service. units and devices are those that the Compose file's grants name.
CREATE TABLE units (id int PRIMARY KEY);
CREATE TABLE devices (id int PRIMARY KEY);
CREATE SCHEMA depot;
CREATE TABLE depot.gates (no smallint PRIMARY KEY, name text NOT NULL);
INSERT INTO depot.gates SELECT n, 'gate ' || n FROM generate_series(1, 20) AS n;

CREATE TABLE depot."parcelScans" (
    "scanId" uuid DEFAULT gen_random_uuid() PRIMARY KEY,
    gate_no smallint NOT NULL REFERENCES depot.gates,
    "scannedAt" timestamptz NOT NULL DEFAULT now(),
    weight_kg numeric(8, 3) CHECK (weight_kg > 0),
    label text,
    extra jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX ON depot."parcelScans" (gate_no, "scannedAt" DESC);
INSERT INTO depot."parcelScans" (gate_no, "scannedAt", weight_kg, label, extra)
SELECT 1 + n % 20,
       now() - random() * interval '170 days',
       1 + (n % 7000) / 1000.0,
       CASE n % 3 WHEN 0 THEN 'parcel "' || n || '", fragile' END,
       jsonb_build_object('n', n, 'belt', n % 4)
  FROM generate_series(1, 50000) AS n;

-- A table that is partitioned already, with a partition that retention takes away.
CREATE TABLE depot.old_routes (at timestamptz NOT NULL, route int) PARTITION BY RANGE (at);
CREATE TABLE depot.old_routes_2020 PARTITION OF depot.old_routes
   FOR VALUES FROM ('2020-01-01 00:00Z') TO ('2020-02-01 00:00Z');
CREATE TABLE depot.old_routes_rest PARTITION OF depot.old_routes DEFAULT;
INSERT INTO depot.old_routes SELECT '2020-01-17 12:00Z', n FROM generate_series(1, 1000) AS n;
INSERT INTO depot.old_routes SELECT now(), n FROM generate_series(1, 10) AS n;
