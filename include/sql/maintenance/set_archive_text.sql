-- purpose: Write values as text in one way until the transaction ends, whatever the session's settings and the server's are
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only sets session variables
SELECT set_config('TimeZone', 'UTC', true),
       set_config('DateStyle', 'ISO, YMD', true),
       set_config('IntervalStyle', 'postgres', true),
       set_config('extra_float_digits', '3', true),
       set_config('bytea_output', 'hex', true),
       set_config('lc_monetary', 'C', true),
       set_config('xmloption', 'content', true),
       set_config('search_path', 'pg_catalog, pg_temp', true)
