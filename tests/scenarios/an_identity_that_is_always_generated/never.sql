-- 428C9: a value given for what is always generated
INSERT INTO readings (id, recorded_at) VALUES (1, now())
