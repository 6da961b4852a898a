-- insert
INSERT INTO events AS live (happened_at, kind) VALUES (%(moment)s, 'on')
-- move
UPDATE events AS live SET happened_at = %(moment)s WHERE id = %(id)s
-- rekey
UPDATE events AS live SET id = gen_random_uuid(), kind = NULL WHERE id = %(id)s
-- delete
DELETE FROM events AS live WHERE id = %(id)s
