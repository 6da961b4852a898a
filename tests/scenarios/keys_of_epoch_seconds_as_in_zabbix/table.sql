CREATE TABLE history (
    itemid bigint NOT NULL,
    clock integer DEFAULT 0 NOT NULL,
    value double precision DEFAULT 0.0 NOT NULL,
    ns integer DEFAULT 0 NOT NULL,
    PRIMARY KEY (itemid, clock, ns)
);
INSERT INTO history SELECT n % 50, extract(epoch FROM moment)::int, n, n FROM pg_temp.moments(600);
INSERT INTO history (itemid, clock, ns) VALUES (50, 0, 1), (50, 2147483647, 2);
