-- insert
INSERT INTO sightings AS live (found, state) VALUES (%(moment)s, 'new')
-- move
UPDATE sightings AS live SET found = %(moment)s, place = 1 WHERE new = %(new)s
-- correct
UPDATE sightings AS live SET state = 'changed', old_row = 2 WHERE new = %(new)s
-- delete
DELETE FROM sightings AS live WHERE new = %(new)s
