-- insert
INSERT INTO mails AS live (sent_at, subject) VALUES (%(moment)s, 'new')
-- move
UPDATE mails AS live SET sent_at = %(moment)s, secret = 'moved' WHERE id = %(id)s
-- delete
DELETE FROM mails AS live WHERE id = %(id)s
