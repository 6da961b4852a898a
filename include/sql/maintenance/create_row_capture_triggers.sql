-- purpose: Start the capture on one partition, for direct and routed rows; after commit, every write to it is visible or in the change log
-- params: none
-- returns: none
-- lock: SHARE ROW EXCLUSIVE on the default partition
-- transaction: one
-- rerun: safe because the caller removes the triggers of an interrupted split first
CREATE TRIGGER partition_playbook_split_insert AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {function}();
CREATE TRIGGER partition_playbook_split_update AFTER UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}();
CREATE TRIGGER partition_playbook_split_delete AFTER DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}();
CREATE TRIGGER partition_playbook_split_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {function}();
ALTER TABLE {table} ENABLE ALWAYS TRIGGER partition_playbook_split_insert;
ALTER TABLE {table} ENABLE ALWAYS TRIGGER partition_playbook_split_update;
ALTER TABLE {table} ENABLE ALWAYS TRIGGER partition_playbook_split_delete;
ALTER TABLE {table} ENABLE ALWAYS TRIGGER partition_playbook_split_truncate
