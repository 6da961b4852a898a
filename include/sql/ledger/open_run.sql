-- purpose: Record a new run, or that one begins again
-- params: run_id, table_schema, table_name, mode, spec, params
-- returns: none
-- lock: ROW EXCLUSIVE on runs
-- transaction: one
-- rerun: safe because a run that is there already is kept as it is, but for its verdict, which it has yet to come to
INSERT INTO partition_playbook.runs (run_id, table_schema, table_name, mode, spec, params)
VALUES (%(run_id)s, %(table_schema)s, %(table_name)s, %(mode)s, %(spec)s, %(params)s)
    ON CONFLICT (run_id) DO UPDATE SET verdict = NULL, ended_at = NULL
