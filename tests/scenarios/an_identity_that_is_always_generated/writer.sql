-- insert
INSERT INTO readings AS live (recorded_at, temperature) VALUES (%(moment)s, %(n)s %% 50)
-- update
UPDATE readings AS live SET temperature = -1 WHERE id = %(id)s
-- move
UPDATE readings AS live SET recorded_at = %(moment)s WHERE id = %(id)s
-- delete
DELETE FROM readings AS live WHERE id = %(id)s
