-- purpose: Fix the text format of values and the order of a scan until the transaction ends, independent of the settings of session and server
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
       set_config('xmlbinary', 'base64', true),
       set_config('xmloption', 'content', true),
       set_config('synchronize_seqscans', 'off', true),
       set_config('search_path', 'pg_catalog, pg_temp', true)
