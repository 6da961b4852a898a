-- 44000 a row that the view's check forbids
INSERT INTO good_readings (read_at, value) VALUES (now(), -1)
