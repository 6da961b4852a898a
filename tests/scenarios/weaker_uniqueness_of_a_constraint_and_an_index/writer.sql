-- insert
INSERT INTO payments AS live (paid_at, reference, note) VALUES (%(moment)s, 'new ' || %(n)s, 'Note ' || %(n)s)
-- move
UPDATE payments AS live SET paid_at = %(moment)s, note = 'moved ' || %(n)s WHERE id = %(id)s
-- delete
DELETE FROM payments AS live WHERE id = %(id)s
