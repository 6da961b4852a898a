-- purpose: Record the end of the load of several partitions, with the rows and bytes of each
-- params: run_id, partitions, rows, bytes
-- returns: none
-- lock: ROW EXCLUSIVE on loads
-- transaction: one
-- rerun: safe because it replaces the load's last values
UPDATE partition_playbook.loads AS l
   SET state = 'loaded', ended_at = clock_timestamp(), rows = each.rows, bytes = each.bytes
  FROM unnest(%(partitions)s::text[], %(rows)s::bigint[], %(bytes)s::bigint[]) AS each (partition_name, rows, bytes)
 WHERE l.run_id = %(run_id)s AND l.partition_name = each.partition_name
