-- insert
INSERT INTO events AS live (at, kind) VALUES (%(moment)s, 'k1')
-- move
UPDATE events AS live SET at = %(moment)s, kind = 'k2' WHERE id = %(id)s
-- delete
DELETE FROM events AS live WHERE id = %(id)s
