-- 23505 a value of the same nanosecond
INSERT INTO history (itemid, clock, ns) SELECT itemid, clock, ns FROM history LIMIT 1
