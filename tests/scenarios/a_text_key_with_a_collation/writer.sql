-- insert
INSERT INTO calls AS live VALUES ('neu ' || %(n)s, %(moment)s, 0)
-- move
UPDATE calls AS live SET began_at = %(moment)s WHERE call_id = %(call_id)s
-- rename
UPDATE calls AS live SET call_id = %(n)s || E' \n' WHERE call_id = %(call_id)s
-- delete
DELETE FROM calls AS live WHERE call_id = %(call_id)s
