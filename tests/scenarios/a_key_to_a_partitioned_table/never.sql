-- 23503 a site that there is not
INSERT INTO visits VALUES (-1, now(), 21, 21)
-- 23503 half of a reference
INSERT INTO visits VALUES (-1, now(), 1, NULL)
