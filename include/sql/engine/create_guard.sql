-- purpose: Refuse writes to the partitioned standby, by the name of a partition too, except those of the reconciler
-- params: none
-- returns: none
-- lock: SHARE ROW EXCLUSIVE on the table and its partitions
-- transaction: one
-- rerun: safe because the caller drops an earlier guard first
CREATE TRIGGER partition_playbook_guard BEFORE INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW
    WHEN (current_setting('partition_playbook.reconciles', true) IS DISTINCT FROM 'on' AND {direct}) EXECUTE FUNCTION {function}();
ALTER TABLE {table} ENABLE ALWAYS TRIGGER partition_playbook_guard
