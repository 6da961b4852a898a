-- session
SET ROLE scenario_grants_lead
-- insert
INSERT INTO salaries AS live (paid_at, amount) VALUES (%(moment)s, 1)
-- move
UPDATE salaries AS live SET paid_at = %(moment)s WHERE id = %(id)s
-- delete
DELETE FROM salaries AS live WHERE id = %(id)s
