-- purpose: Record a new run, or open it again
-- params: run_id, table_schema, table_name, mode, spec, params
-- returns: none
-- lock: ROW EXCLUSIVE on runs
-- transaction: one
-- rerun: safe because an existing run is kept, except for verdict and end
INSERT INTO partition_playbook.runs (run_id, table_schema, table_name, mode, spec, params)
VALUES (%(run_id)s, %(table_schema)s, %(table_name)s, %(mode)s, %(spec)s, %(params)s)
    ON CONFLICT (run_id) DO UPDATE SET verdict = NULL, ended_at = NULL
