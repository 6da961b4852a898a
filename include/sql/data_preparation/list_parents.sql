-- purpose: Read the keys of the first rows of a table that generated rows refer to
-- params: parents
-- returns: rows
-- lock: ACCESS SHARE on the table referred to
-- transaction: one
-- rerun: safe because it only reads
SELECT {texts} FROM {table} ORDER BY {key} LIMIT %(parents)s
