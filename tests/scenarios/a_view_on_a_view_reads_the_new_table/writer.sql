-- insert
INSERT INTO readings AS live (read_at, device, value) VALUES (%(moment)s, 1, 7)
-- insert through the view
INSERT INTO good_readings AS live (read_at, device, value) VALUES (%(moment)s, 2, 8)
-- move
UPDATE readings AS live SET read_at = %(moment)s WHERE id = %(id)s
-- delete
DELETE FROM readings AS live WHERE id = %(id)s
