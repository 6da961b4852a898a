-- a curious role reads neither the table nor a part of it
SELECT bool_and(NOT has_table_privilege('scenario_curious', relid, 'SELECT'))
  FROM (SELECT 'salaries'::regclass AS relid UNION SELECT inhrelid FROM pg_inherits WHERE inhparent = 'salaries'::regclass) AS parts
