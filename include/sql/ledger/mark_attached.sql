-- purpose: Record that every loaded partition of a run is attached
-- params: run_id
-- returns: none
-- lock: ROW EXCLUSIVE on loads
-- transaction: one
-- rerun: safe because it sets one value
UPDATE partition_playbook.loads SET state = 'attached' WHERE run_id = %(run_id)s AND state = 'loaded'
