-- purpose: Record a measurement of a stage
-- params: run_id, stage, name, value, unit, detail
-- returns: none
-- lock: ROW EXCLUSIVE on measurements
-- transaction: one
-- rerun: safe because it replaces the stage's value
INSERT INTO partition_playbook.measurements (run_id, stage, name, value, unit, detail)
VALUES (%(run_id)s, %(stage)s, %(name)s, %(value)s, %(unit)s, %(detail)s)
    ON CONFLICT (run_id, stage, name) DO UPDATE
       SET value = EXCLUDED.value, unit = EXCLUDED.unit, detail = EXCLUDED.detail, taken_at = EXCLUDED.taken_at
