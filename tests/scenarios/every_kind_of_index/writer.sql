-- insert
INSERT INTO documents AS live (filed_at, title, body, size) VALUES (%(moment)s, 'new ' || %(n)s, '{"kind": "new"}', %(n)s)
-- move
UPDATE documents AS live SET filed_at = %(moment)s, title = 'moved ' || %(n)s WHERE id = %(id)s
-- delete
DELETE FROM documents AS live WHERE id = %(id)s
