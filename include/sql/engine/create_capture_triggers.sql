-- purpose: Start capture: from its commit on, every write except the reconciler's is visible already or in the change log
-- params: none
-- returns: none
-- lock: SHARE ROW EXCLUSIVE on the table
-- transaction: one
-- rerun: safe because the caller checks first for the triggers
CREATE TRIGGER partition_playbook_insert AFTER INSERT ON {table} REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT WHEN (current_setting('partition_playbook.reconciles', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION {function}();
CREATE TRIGGER partition_playbook_update AFTER UPDATE ON {table} REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT WHEN (current_setting('partition_playbook.reconciles', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION {function}();
CREATE TRIGGER partition_playbook_delete AFTER DELETE ON {table} REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT WHEN (current_setting('partition_playbook.reconciles', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION {function}();
CREATE TRIGGER partition_playbook_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT WHEN (current_setting('partition_playbook.reconciles', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION {function}()
