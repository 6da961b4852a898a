-- insert
INSERT INTO parcels AS live (sent_at, weight) VALUES (%(moment)s, 1)
-- delete
DELETE FROM parcels AS live WHERE id = %(id)s
