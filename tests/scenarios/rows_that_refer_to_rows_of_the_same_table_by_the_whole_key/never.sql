-- 23503 an answer to nothing
INSERT INTO messages VALUES (-1, now(), -2, now())
