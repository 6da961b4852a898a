-- insert
INSERT INTO stock AS live (counted_at) VALUES (%(moment)s)
-- move
UPDATE stock AS live SET counted_at = %(moment)s, pieces = 0 WHERE id = %(id)s
-- delete
DELETE FROM stock AS live WHERE id = %(id)s
