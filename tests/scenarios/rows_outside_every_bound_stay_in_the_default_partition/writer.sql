-- insert
INSERT INTO imports AS live (made_at) VALUES (%(moment)s)
-- insert far away
INSERT INTO imports AS live (made_at) VALUES (far(%(moment)s, %(n)s))
-- move far away
UPDATE imports AS live SET made_at = far(%(moment)s, %(n)s) WHERE id = %(id)s
-- move
UPDATE imports AS live SET made_at = %(moment)s WHERE id = %(id)s
-- delete
DELETE FROM imports AS live WHERE id = %(id)s
