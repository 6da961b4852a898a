-- insert
INSERT INTO parcels AS live (sent_at, weight, note) VALUES (%(moment)s, 1, '')
-- move
UPDATE parcels AS live SET sent_at = %(moment)s, note = 'moved' WHERE id = %(id)s
-- delete
DELETE FROM parcels AS live WHERE id = %(id)s
