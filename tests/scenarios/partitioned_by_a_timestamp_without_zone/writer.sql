-- insert
INSERT INTO logs AS live (logged_at, line) VALUES (%(moment)s, 'new')
-- move
UPDATE logs AS live SET logged_at = %(moment)s WHERE id = %(id)s
-- delete
DELETE FROM logs AS live WHERE id = %(id)s
