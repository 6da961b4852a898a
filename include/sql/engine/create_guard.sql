-- purpose: Refuse writes to the partitioned standby by its name, except those of the reconciler
-- params: none
-- returns: none
-- lock: SHARE ROW EXCLUSIVE on the table, for a guard of each row on its partitions too
-- transaction: one
-- rerun: safe because the caller drops an earlier guard first
CREATE TRIGGER partition_playbook_guard BEFORE INSERT OR UPDATE OR DELETE ON {table} FOR EACH {level}
    WHEN (current_setting('partition_playbook.reconciles', true) IS DISTINCT FROM 'on' AND {direct}) EXECUTE FUNCTION {function}();
ALTER TABLE {table} ENABLE ALWAYS TRIGGER partition_playbook_guard
