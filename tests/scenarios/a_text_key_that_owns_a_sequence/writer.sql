-- insert
INSERT INTO tickets AS live (opened_at) VALUES (%(moment)s)
-- move
UPDATE tickets AS live SET opened_at = %(moment)s WHERE code = %(code)s
-- delete
DELETE FROM tickets AS live WHERE code = %(code)s
