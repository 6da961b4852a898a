-- purpose: Read the server's counters of the rows written to a table, and the moment of their last reset
-- params: schema, name
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
-- A transaction keeps the statistics that it has read, so they are forgotten first.
WITH forgotten AS MATERIALIZED (
    SELECT pg_stat_clear_snapshot() AS done
)
SELECT clock_timestamp() AS at,
       current_setting('track_counts')::boolean AS counted,
       pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid) + pg_stat_get_tuples_deleted(c.oid) AS changes,
       pg_stat_get_db_stat_reset_time(d.oid) AS reset_at
  FROM forgotten
 CROSS JOIN pg_database d
 CROSS JOIN pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE d.datname = current_database() AND n.nspname = %(schema)s AND c.relname = %(name)s
