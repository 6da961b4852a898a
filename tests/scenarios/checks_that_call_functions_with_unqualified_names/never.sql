-- 23514 a code that nobody knows
INSERT INTO articles (listed_at, code) VALUES (now(), 'C1')
