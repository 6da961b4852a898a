-- purpose: Lock tables by one statement that may wait so long in all, and reset the statement timeout
-- params: none
-- returns: none
-- lock: that of the statement
-- transaction: one
-- rerun: safe because a transaction can take a lock twice
SET LOCAL statement_timeout = {timeout};
{lock};
SET LOCAL statement_timeout = {earlier}
