-- the keys may be broken for a moment
WITH first AS (INSERT INTO postings (id, posted_at, account) VALUES (-7, '2026-09-09', 11) RETURNING id),
     second AS (INSERT INTO postings (id, posted_at) VALUES (-7, '2026-09-09') RETURNING id),
     account AS (INSERT INTO accounts VALUES (11) RETURNING id)
SELECT count(*) = 3 FROM (TABLE first UNION ALL TABLE second UNION ALL TABLE account) AS rows
