-- purpose: Set tablespace and access method of the transaction's next relations; an empty tablespace is the database's default
-- params: tablespace, access_method
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because the settings end with the transaction
SELECT set_config('default_tablespace', %(tablespace)s, true), set_config('default_table_access_method', %(access_method)s, true)
