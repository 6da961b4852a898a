-- insert
INSERT INTO articles AS live (printed_at, author) VALUES (%(moment)s, 'new')
-- move
UPDATE articles AS live SET printed_at = %(moment)s WHERE id = %(id)s
-- delete
DELETE FROM articles AS live WHERE id = %(id)s
