-- insert
INSERT INTO complaints AS live (made_at) VALUES (%(moment)s)
-- move
UPDATE complaints AS live SET made_at = %(moment)s WHERE id = %(id)s
-- delete
DELETE FROM complaints AS live WHERE id = %(id)s
-- delete another
DELETE FROM complaints AS live WHERE id = %(id)s
