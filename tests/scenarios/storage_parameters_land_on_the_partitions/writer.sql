-- insert
INSERT INTO positions AS live (seen_at, place) VALUES (%(moment)s, 'new')
-- move
UPDATE positions AS live SET seen_at = %(moment)s WHERE id = %(id)s
-- delete
DELETE FROM positions AS live WHERE id = %(id)s
