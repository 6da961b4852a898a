-- 23505 a reference twice at a moment
INSERT INTO payments (paid_at, reference) VALUES ('2026-09-09', 'same'), ('2026-09-09', 'same')
-- 23505 a note twice at a moment
INSERT INTO payments (paid_at, note) VALUES ('2026-09-09', 'same'), ('2026-09-09', 'SAME')
