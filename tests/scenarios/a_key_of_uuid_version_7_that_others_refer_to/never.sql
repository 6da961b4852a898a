-- 23505 a second event of an id
INSERT INTO events SELECT id, 'again' FROM events LIMIT 1
-- 23503 a note without an event
INSERT INTO notes VALUES ('00000000-0000-7000-8000-000000000000')
