-- insert
INSERT INTO complaints AS live (made_at) VALUES (%(moment)s)
-- delete
DELETE FROM complaints AS live WHERE id = %(id)s
-- delete another
DELETE FROM complaints AS live WHERE id = %(id)s
