-- upsert
INSERT INTO bookings AS live (starts_at, room) VALUES (%(moment)s, %(n)s) ON CONFLICT ON CONSTRAINT one_booking DO UPDATE SET seat = 1
-- move
UPDATE bookings AS live SET starts_at = %(moment)s, room = %(n)s WHERE id = %(id)s
-- delete
DELETE FROM bookings AS live WHERE id = %(id)s
