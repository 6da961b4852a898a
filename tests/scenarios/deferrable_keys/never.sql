-- 23505 the key twice at the end of a transaction
INSERT INTO postings (id, posted_at) VALUES (-7, '2026-09-09'), (-7, '2026-09-09')
-- 23503 an account that there is not
INSERT INTO postings (posted_at, account) VALUES ('2026-09-09', 11)
