-- insert
INSERT INTO archive.events AS live (at, kind) VALUES (%(moment)s, 'new')
-- move
UPDATE archive.events AS live SET at = %(moment)s WHERE id = %(id)s
-- delete
DELETE FROM archive.events AS live WHERE id = %(id)s
