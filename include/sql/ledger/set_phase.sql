-- purpose: Record the phase of a run's migration, and its moment as an event
-- params: run_id, phase, section, detail
-- returns: none
-- lock: ROW EXCLUSIVE on runs and events
-- transaction: one
-- rerun: safe because it sets one value; the audit keeps every repetition
WITH moved AS (
    UPDATE partition_playbook.runs SET phase = %(phase)s WHERE run_id = %(run_id)s RETURNING run_id
)
INSERT INTO partition_playbook.events (run_id, section, kind, message, detail)
SELECT run_id, %(section)s, 'phase', %(phase)s, %(detail)s FROM moved
