-- 23505 the same name in other letters
INSERT INTO versions VALUES (-1, 'same', '2026-09-09'), (-1.0, 'SAME', '2026-09-09')
