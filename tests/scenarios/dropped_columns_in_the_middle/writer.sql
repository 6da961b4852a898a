-- insert
INSERT INTO shipments AS live (shipped_at, weight) VALUES (%(moment)s, 2.50)
-- move
UPDATE shipments AS live SET shipped_at = %(moment)s, pieces = pieces + 1 WHERE id = %(id)s
-- delete
DELETE FROM shipments AS live WHERE id = %(id)s
