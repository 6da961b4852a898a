CREATE SCHEMA "Ref.s";
CREATE TABLE "Ref.s".sites (region int, site int, PRIMARY KEY (region, site)) PARTITION BY HASH (region, site);
CREATE TABLE "Ref.s".sites_0 PARTITION OF "Ref.s".sites FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE "Ref.s".sites_1 PARTITION OF "Ref.s".sites FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO "Ref.s".sites SELECT n, n FROM generate_series(1, 20) n;
CREATE TABLE visits (
    id bigint,
    at timestamptz,
    region int,
    site int,
    PRIMARY KEY (id, at),
    CONSTRAINT "at.😀" FOREIGN KEY (region, site) REFERENCES "Ref.s".sites MATCH FULL ON UPDATE CASCADE ON DELETE SET NULL
);
COMMENT ON CONSTRAINT "at.😀" ON visits IS 'where';
INSERT INTO visits (id, at, region, site) SELECT n, moment, 1 + n % 20, 1 + n % 20 FROM pg_temp.moments(300);
