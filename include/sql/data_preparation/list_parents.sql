-- purpose: Read the keys of the first rows of a referenced table, as parents of generated rows
-- params: parents
-- returns: rows
-- lock: ACCESS SHARE on the table referred to
-- transaction: one
-- rerun: safe because it only reads
SELECT {texts} FROM {table} ORDER BY {key} LIMIT %(parents)s
