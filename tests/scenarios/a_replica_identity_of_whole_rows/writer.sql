-- insert
INSERT INTO counters AS live (counted_at) VALUES (%(moment)s)
-- move
UPDATE counters AS live SET counted_at = %(moment)s WHERE id = %(id)s
-- delete
DELETE FROM counters AS live WHERE id = %(id)s
