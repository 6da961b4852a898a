-- purpose: Set the lock timeout of the transaction, and let its COMMIT not wait for a standby while it holds locks
-- params: lock_timeout
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because the settings end with the transaction
SELECT set_config('lock_timeout', %(lock_timeout)s, true),
       -- A later commit that waits for a standby waits for this one too: the standby gets them in order.
       set_config('synchronous_commit', 'local', true)
