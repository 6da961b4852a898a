-- insert
INSERT INTO tasks AS live (due_at) VALUES (%(moment)s)
-- move
UPDATE tasks AS live SET due_at = %(moment)s WHERE id = %(id)s
-- delete
DELETE FROM tasks AS live WHERE id = %(id)s
