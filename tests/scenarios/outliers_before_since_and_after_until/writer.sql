-- insert
INSERT INTO mails AS live (sent_at) VALUES (%(moment)s)
-- insert far away
INSERT INTO mails AS live (sent_at) VALUES (far(%(n)s))
-- move far away
UPDATE mails AS live SET sent_at = far(%(n)s) WHERE id = %(id)s
-- move
UPDATE mails AS live SET sent_at = %(moment)s WHERE id = %(id)s
-- delete
DELETE FROM mails AS live WHERE id = %(id)s
