-- insert
INSERT INTO addresses AS live (since, zip) VALUES (%(moment)s, 1)
-- move
UPDATE addresses AS live SET since = %(moment)s WHERE id = %(id)s
-- delete
DELETE FROM addresses AS live WHERE id = %(id)s
