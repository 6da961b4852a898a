-- purpose: Keep one file of a run, its report or its plan
-- params: run_id, name, content, sha256
-- returns: none
-- lock: ROW EXCLUSIVE on reports
-- transaction: one
-- rerun: safe because it replaces the file
INSERT INTO partition_playbook.reports (run_id, name, content, sha256)
VALUES (%(run_id)s, %(name)s, %(content)s, %(sha256)s)
    ON CONFLICT (run_id, name) DO UPDATE
       SET content = EXCLUDED.content, sha256 = EXCLUDED.sha256, written_at = EXCLUDED.written_at
