-- insert
INSERT INTO salaries AS live (paid_at) VALUES (%(moment)s)
-- move
UPDATE salaries AS live SET paid_at = %(moment)s WHERE id = %(id)s
-- delete
DELETE FROM salaries AS live WHERE id = %(id)s
