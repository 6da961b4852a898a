-- insert
INSERT INTO tickets AS live (opened_at, subject) VALUES (%(moment)s, 'new')
-- insert with its own id
INSERT INTO tickets AS live (id, opened_at, subject) VALUES (%(n)s + 1, %(moment)s, 'imported')
-- insert now
INSERT INTO tickets AS live (subject) VALUES ('now')
-- move
UPDATE tickets AS live SET opened_at = %(moment)s WHERE id = %(id)s
-- renumber
UPDATE tickets AS live SET id = -%(n)s WHERE id = %(id)s
-- delete
DELETE FROM tickets AS live WHERE id = %(id)s
