-- session
SET ROLE scenario_view_writer
-- insert
INSERT INTO open_tasks AS live (due_at, title) VALUES (%(moment)s, 'new')
-- move
UPDATE open_tasks AS live SET due_at = %(moment)s WHERE id = %(id)s
-- delete
DELETE FROM open_tasks AS live WHERE id = %(id)s
