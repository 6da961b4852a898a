-- purpose: Move the rows of a range from the default partition to the new one, which is attached in the same transaction
-- params: lower, upper
-- returns: none
-- lock: ROW EXCLUSIVE on both; the caller holds ACCESS EXCLUSIVE on the table, so that no reader misses the rows
-- transaction: one
-- rerun: safe because it commits only with the attachment
WITH moved AS (
    DELETE FROM {default} WHERE {partition_by} >= %(lower)s AND {partition_by} < %(upper)s RETURNING {columns}
)
INSERT INTO {partition} ({columns}) SELECT {columns} FROM moved
