-- purpose: List the jobs of pg_cron whose command names a table and creates, attaches, detaches or drops partitions
-- params: name
-- returns: rows
-- lock: ACCESS SHARE on cron.job
-- transaction: one
-- rerun: safe because it only reads
SELECT format('%%s (%%s)', jobid, left(command, 100)) AS entry
  FROM {job}
 WHERE strpos(lower(command), lower(%(name)s)) > 0 AND command ~* '\m(create|attach|detach|drop|partition|partman)'
 ORDER BY jobid
