-- purpose: Copy some rows of the table into the partition of the retention proof, each with a value of its own in its range
-- params: rows
-- returns: none
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because the transaction creates the partition too
INSERT INTO {partition} ({partition_by}{others}) OVERRIDING SYSTEM VALUE
SELECT CAST({value} AS {kind}){others}
  FROM (SELECT * FROM {table} LIMIT %(rows)s) AS s
