-- purpose: Act until the end of the transaction as the owner of a table, with the search_path and row security of the application
-- params: owner, schema
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because the settings end with the transaction
SELECT set_config('search_path', concat_ws(', ', nullif(s.reset_val, ''), quote_ident(%(schema)s), 'pg_temp'), true),
       set_config('row_security', 'on', true),
       set_config('role', %(owner)s, true)
  FROM pg_settings s
 WHERE s.name = 'search_path'
