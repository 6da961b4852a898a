-- 23503 a device that there is not
INSERT INTO readings (read_at, device) VALUES (now(), 11)
