-- insert
INSERT INTO imports AS live (made_at) VALUES (%(moment)s)
-- move
UPDATE imports AS live SET made_at = %(moment)s WHERE id = %(id)s
-- delete
DELETE FROM imports AS live WHERE id = %(id)s
