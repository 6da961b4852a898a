-- insert
INSERT INTO sensors AS live (seen_at, battery) VALUES (%(moment)s, 9)
-- charge
UPDATE sensors AS live SET battery = 100 WHERE id = %(id)s
-- move
UPDATE sensors AS live SET seen_at = %(moment)s, battery = 7 WHERE id = %(id)s
-- delete
DELETE FROM sensors AS live WHERE id = %(id)s
