-- purpose: Let what the transaction creates next lie in a tablespace, the database's own where it is empty
-- params: tablespace, access_method
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it ends with the transaction
SELECT set_config('default_tablespace', %(tablespace)s, true), set_config('default_table_access_method', %(access_method)s, true)
