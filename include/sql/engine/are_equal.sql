-- purpose: Compare number and content of the changed rows in both tables
-- params: first, last, added_first, added_last
-- returns: value
-- lock: ACCESS SHARE on both tables
-- transaction: one
-- rerun: safe because it only reads
WITH keys AS MATERIALIZED (
        SELECT {columns} FROM {log} WHERE _partition_playbook_change BETWEEN %(first)s AND %(last)s
         UNION
        SELECT {columns} FROM {log} WHERE _partition_playbook_change BETWEEN %(added_first)s AND %(added_last)s
)
SELECT (SELECT ROW(count(*), sum(hashfloat8extended(hash_record_extended(ROW({row}), 0)::float8, 0))) FROM keys AS k JOIN {live} AS t ON {match})
       IS NOT DISTINCT FROM
       (SELECT ROW(count(*), sum(hashfloat8extended(hash_record_extended(ROW({row}), 0)::float8, 0))) FROM keys AS k JOIN {standby} AS t ON {match})
