-- 23503 a line without an order
INSERT INTO lines VALUES (-1, now())
