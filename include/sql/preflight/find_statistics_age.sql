-- purpose: Tell since when the server counts statements, and how often it had to forget the rarest of them
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT i.stats_reset AS since, i.dealloc AS forgotten
  FROM {info} i
