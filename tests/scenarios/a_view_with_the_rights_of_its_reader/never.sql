-- 42501 the view's reader may not read the table
SET LOCAL ROLE scenario_invoker_reader; SELECT * FROM pages
