-- insert
INSERT INTO s AS live (t) VALUES (%(moment)s)
-- move
UPDATE s AS live SET t = %(moment)s, s = 0, k = 1 WHERE _change_id = %(_change_id)s
-- delete
DELETE FROM s AS live WHERE _change_id = %(_change_id)s
