-- insert
INSERT INTO tickets AS live (opened_at, title, body) VALUES (%(moment)s, 'new', repeat('text ', 100))
-- update
UPDATE tickets AS live SET title = 'changed ' || %(n)s WHERE id = %(id)s
-- move
UPDATE tickets AS live SET opened_at = %(moment)s WHERE id = %(id)s
-- delete
DELETE FROM tickets AS live WHERE id = %(id)s
