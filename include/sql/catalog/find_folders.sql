-- purpose: Read the folders of a tablespace, of the database's own tablespace and of temporary files; empty for the data directory
-- params: tablespace
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
WITH own AS (
    SELECT t.spcname FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace WHERE d.datname = current_database()
), wanted AS (
    SELECT coalesce(nullif(%(tablespace)s::text, ''), own.spcname) AS stored, own.spcname AS database,
           coalesce(nullif(btrim(split_part(current_setting('temp_tablespaces'), ',', 1), ' "'), ''), own.spcname) AS temporary
      FROM own
)
SELECT coalesce((SELECT pg_tablespace_location(t.oid) FROM pg_tablespace t WHERE t.spcname = w.stored), '') AS stored,
       coalesce((SELECT pg_tablespace_location(t.oid) FROM pg_tablespace t WHERE t.spcname = w.database), '') AS database,
       coalesce((SELECT pg_tablespace_location(t.oid) FROM pg_tablespace t WHERE t.spcname = w.temporary), '') AS temporary
  FROM wanted w
