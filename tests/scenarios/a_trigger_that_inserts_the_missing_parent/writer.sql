-- insert
INSERT INTO readings AS live (read_at, device) VALUES (%(moment)s, %(n)s)
-- move
UPDATE readings AS live SET read_at = %(moment)s, device = 4 WHERE id = %(id)s
-- delete
DELETE FROM readings AS live WHERE id = %(id)s
