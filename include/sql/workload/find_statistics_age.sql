-- purpose: Read the last reset of pg_stat_statements and the number of evictions of its rarest statements
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT i.stats_reset AS since, i.dealloc AS forgotten
  FROM {info} i
