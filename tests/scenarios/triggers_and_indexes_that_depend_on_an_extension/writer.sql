-- insert
INSERT INTO alarms AS live (rung_at, code) VALUES (%(moment)s, 'x')
-- delete
DELETE FROM alarms AS live WHERE id = %(id)s
