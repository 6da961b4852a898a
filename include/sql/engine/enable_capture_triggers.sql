-- purpose: Let the capture see writes of every session_replication_role
-- params: none
-- returns: none
-- lock: SHARE ROW EXCLUSIVE on the table
-- transaction: one
-- rerun: safe because a trigger can be enabled twice
ALTER TABLE {table}
    ENABLE ALWAYS TRIGGER partition_playbook_insert,
    ENABLE ALWAYS TRIGGER partition_playbook_update,
    ENABLE ALWAYS TRIGGER partition_playbook_delete,
    ENABLE ALWAYS TRIGGER partition_playbook_truncate
