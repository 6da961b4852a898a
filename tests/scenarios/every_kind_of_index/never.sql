-- 23505 the unique index holds
INSERT INTO documents (filed_at, title, size) VALUES ('2026-09-09', 'same', 1), ('2026-09-09', 'same', 1)
