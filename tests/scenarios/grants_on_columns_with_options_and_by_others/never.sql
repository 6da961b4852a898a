-- 42501 a column that the clerk may not change
SET LOCAL ROLE scenario_grants_clerk; UPDATE salaries SET amount = 1
-- 42501 a row that the clerk may not delete
SET LOCAL ROLE scenario_grants_clerk; DELETE FROM salaries WHERE id = 1
