-- 23503 a bill without a visit
INSERT INTO bills VALUES (1000, -1, now())
