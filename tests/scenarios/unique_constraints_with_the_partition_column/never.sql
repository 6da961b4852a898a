-- 23505 a room twice at a time
INSERT INTO bookings (starts_at, room) VALUES ('2026-09-09', 0), ('2026-09-09', 0)
