-- insert
INSERT INTO visits AS live (id, at) VALUES (%(n)s, %(moment)s)
-- move
UPDATE visits AS live SET at = %(moment)s WHERE id = %(id)s
-- delete
DELETE FROM visits AS live WHERE id = %(id)s
