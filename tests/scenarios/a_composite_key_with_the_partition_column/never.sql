-- 23505 the same reading twice
INSERT INTO meter_readings VALUES (now(), 9, 'm', 1), (now(), 9, 'm', 2)
