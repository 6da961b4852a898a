-- purpose: Bound how long the next lock may be waited for
-- params: lock_timeout
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it ends with the transaction
SELECT set_config('lock_timeout', %(lock_timeout)s, true)
