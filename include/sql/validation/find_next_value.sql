-- purpose: Read the value that a sequence gives next, without taking it
-- params: increment
-- returns: value
-- lock: ACCESS SHARE on the sequence
-- transaction: one
-- rerun: safe because it only reads
SELECT last_value + CASE WHEN is_called THEN %(increment)s ELSE 0 END FROM {sequence}
