-- insert
INSERT INTO memberships AS live (since, team) VALUES (%(moment)s, 1)
-- move
UPDATE memberships AS live SET since = %(moment)s WHERE id = %(id)s
-- delete
DELETE FROM memberships AS live WHERE id = %(id)s
