-- purpose: Record an event
-- params: run_id, section, kind, message, statement, rows, duration_ms, detail
-- returns: none
-- lock: ROW EXCLUSIVE on events
-- transaction: one
-- rerun: safe because the audit keeps every repetition
INSERT INTO partition_playbook.events (run_id, section, kind, message, statement, rows, duration_ms, detail)
VALUES (%(run_id)s, %(section)s, %(kind)s, %(message)s, %(statement)s, %(rows)s, %(duration_ms)s, %(detail)s)
