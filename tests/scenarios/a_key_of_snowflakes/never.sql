-- 23505 a second message of an id
INSERT INTO messages SELECT id FROM messages LIMIT 1
