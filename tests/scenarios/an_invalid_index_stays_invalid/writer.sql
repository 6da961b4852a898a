-- insert
INSERT INTO members AS live (joined_at, email) VALUES (%(moment)s, %(n)s)
-- move
UPDATE members AS live SET joined_at = %(moment)s WHERE id = %(id)s
-- delete
DELETE FROM members AS live WHERE id = %(id)s
