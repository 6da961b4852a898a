-- purpose: Write the changed rows like insert_first_rows, for a standby with a deferrable key: ON CONFLICT does not know these
-- params: none
-- returns: none
-- lock: ACCESS SHARE on the live table, ROW EXCLUSIVE on the standby
-- transaction: one
-- rerun: safe because the same transaction deletes the changed rows first
DO {quote}
#variable_conflict use_column
DECLARE
    _partition_playbook_row record;
BEGIN
    FOR _partition_playbook_row IN
        SELECT {live_row}
          FROM (SELECT {columns}, min(_partition_playbook_rank) AS _partition_playbook_rank, min(_partition_playbook_position) AS _partition_playbook_position
                  FROM (SELECT {columns}, CASE WHEN _partition_playbook_change = ANY ({present}::bigint[]) THEN 0 ELSE 2 END AS _partition_playbook_rank,
                               _partition_playbook_change AS _partition_playbook_position
                          FROM {log}
                         WHERE _partition_playbook_change BETWEEN {first} AND {last}
                         UNION ALL
                        SELECT {columns}, 0, _partition_playbook_change
                          FROM {log}
                         WHERE _partition_playbook_change BETWEEN {added_first} AND {added_last}
                         UNION ALL
                        SELECT {columns}, 1, _partition_playbook_doubled FROM {doubled} WHERE _partition_playbook_left_at IS NULL AND {reopen}) AS c
                 GROUP BY {columns}) AS k
          JOIN {live} AS s ON {match}
         ORDER BY k._partition_playbook_rank, k._partition_playbook_position
    LOOP
        BEGIN
            INSERT INTO {standby} ({row}) OVERRIDING SYSTEM VALUE VALUES ({each_row});
        EXCEPTION WHEN unique_violation THEN
            NULL;
        END;
    END LOOP;
END
{quote}
