CREATE TABLE calls (
    call_id varchar(40) COLLATE "C" PRIMARY KEY,
    began_at timestamptz NOT NULL,
    seconds integer
);
INSERT INTO calls SELECT CASE n % 4 WHEN 0 THEN n || ' %s "quoted" ' WHEN 1 THEN E'\\x' || n WHEN 2 THEN 'ÄÖ' || n ELSE n || E'\t''' END, moment, n
  FROM pg_temp.moments(600);
