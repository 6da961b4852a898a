-- insert
INSERT INTO readings AS live (read_at, unit) VALUES (%(moment)s, 1)
-- delete
DELETE FROM readings AS live WHERE id = %(id)s
