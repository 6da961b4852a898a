-- purpose: Read the next value of a sequence without advancing it
-- params: increment
-- returns: value
-- lock: ACCESS SHARE on the sequence
-- transaction: one
-- rerun: safe because it only reads
SELECT last_value + CASE WHEN is_called THEN %(increment)s ELSE 0 END FROM {sequence}
