-- purpose: Find a table among the ones that pg_partman manages
-- params: table
-- returns: rows
-- lock: ACCESS SHARE on part_config
-- transaction: one
-- rerun: safe because it only reads
SELECT parent_table::text AS entry FROM {config} WHERE parent_table::text = %(table)s
