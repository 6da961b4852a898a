CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'HAPPY');
CREATE TYPE address AS (street text, number integer, extra json);
CREATE DOMAIN percent AS numeric(5, 2) CHECK (VALUE BETWEEN 0 AND 100);
CREATE DOMAIN share AS percent;
CREATE TABLE everything (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    json json, jsonb jsonb, numbers numeric[], texts text[][], number numeric, real real, double double precision,
    bytes bytea, mood mood, moods mood[], home address, homes address[], percent percent, share share,
    period tstzrange, periods tstzmultirange, span interval, money money, bits bit varying(9), ip inet, mac macaddr,
    words tsvector, place point, area polygon, letter "char", padded char(8), name name, time timetz, lsn pg_lsn,
    snapshot pg_snapshot, number_of oid, path jsonpath, day date, local timestamp(0), yes boolean
);
INSERT INTO everything (at, json, jsonb, numbers, texts, number, real, double, bytes, mood, moods, home, homes, percent, share, period, periods,
    span, money, bits, ip, mac, words, place, area, letter, padded, name, time, lsn, snapshot, number_of, path, day, local, yes)
SELECT moment, '{"a":   1, "a": 2}', '{"b": [1.50, null]}', '{1.00, NULL, NaN}', '{{a, NULL}, {"x,y", "\""}}', 'Infinity', '-0', 'NaN',
       '\x00ff', 'HAPPY', '{sad, NULL}', '("Weg, 1",,"{}")', ARRAY[ROW('a', 1, '{"c":  1}')::address, NULL], 1.5, 99.99,
       tstzrange(moment, NULL), tstzmultirange(tstzrange(NULL, moment)), '1 mon -1 day', '-1.50', '101', '::1/64', '08:00:2b:01:02:03',
       'fat:1A & cat', '(1,-0)', '((0,0),(1,1),(1,0))', E'\\200', 'pad', 'name', '24:00:00-15:59', '16/B374D848', '10:20:10,14,15', 4294967295,
       '$.a[*] ? (@ > 1)', 'infinity', '-infinity', n % 2 = 0
  FROM pg_temp.moments(200);
INSERT INTO everything (at) SELECT moment FROM pg_temp.moments(200);
