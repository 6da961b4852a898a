-- 23514 a new row that breaks the check
INSERT INTO sensors (seen_at, battery) VALUES (now(), -1)
