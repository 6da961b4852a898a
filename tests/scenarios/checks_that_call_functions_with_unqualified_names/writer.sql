-- insert
INSERT INTO articles AS live (listed_at, code) VALUES (%(moment)s, 'B1')
-- move
UPDATE articles AS live SET listed_at = %(moment)s, code = 'A2' WHERE id = %(id)s
-- delete
DELETE FROM articles AS live WHERE id = %(id)s
