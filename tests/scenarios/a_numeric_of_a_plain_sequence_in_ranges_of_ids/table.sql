-- No column owns this sequence.
CREATE SEQUENCE "Order Numbers" START 600002;
CREATE TABLE "Order Events" (
    id numeric(18) DEFAULT nextval('"Order Numbers"') PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    content text
);
CREATE TABLE notes (event_id numeric(18) NOT NULL CONSTRAINT notes_event REFERENCES "Order Events", content text);
CREATE INDEX ON notes (event_id);
-- Both sides of each bound, and gaps.
INSERT INTO "Order Events" (id, content) SELECT n * 100000 + shift, 'event' FROM generate_series(1, 6) AS n, unnest('{-1, 0, 1}'::int[]) AS shift;
INSERT INTO "Order Events" (id, content) SELECT n * 1000 + 50, 'event' FROM generate_series(0, 599) AS n;
INSERT INTO notes SELECT id, 'noted' FROM "Order Events" WHERE id % 7000 = 50;
