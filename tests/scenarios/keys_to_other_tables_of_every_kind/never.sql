-- 23503 a site that there is not
INSERT INTO measurements (measured_at, country, site) VALUES (now(), 'FR', 1)
-- 23503 half of a reference
INSERT INTO measurements (measured_at, country) VALUES (now(), 'DE')
-- 23503 a unit that there is not
INSERT INTO measurements (measured_at, unit) VALUES (now(), gen_random_uuid())
