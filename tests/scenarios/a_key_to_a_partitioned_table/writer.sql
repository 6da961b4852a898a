-- insert
INSERT INTO visits AS live (id, at, region, site) VALUES (%(n)s, %(moment)s, 1, 1)
-- move
UPDATE visits AS live SET at = %(moment)s WHERE id = %(id)s
-- delete
DELETE FROM visits AS live WHERE id = %(id)s
