-- purpose: Make the subtransaction read-only, with a statement timeout and the search_path of the application
-- params: statement_timeout, search_path
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it ends with the savepoint
SELECT set_config('transaction_read_only', 'on', true),
       set_config('statement_timeout', %(statement_timeout)s, true),
       set_config('search_path', %(search_path)s, true),
       set_config('cursor_tuple_fraction', '1', true)
