-- insert
INSERT INTO parcels AS live (sent_at, note) VALUES (%(moment)s, 'new')
-- move
UPDATE parcels AS live SET sent_at = %(moment)s, note = 'moved' WHERE id = %(id)s
-- delete
DELETE FROM parcels AS live WHERE id = %(id)s
