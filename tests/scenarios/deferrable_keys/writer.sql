-- insert
INSERT INTO postings AS live (posted_at, account, line) VALUES (%(moment)s, 1, %(n)s)
-- move
UPDATE postings AS live SET posted_at = %(moment)s, line = %(n)s, other = 2 WHERE id = %(id)s
-- delete
DELETE FROM postings AS live WHERE id = %(id)s
