-- insert
INSERT INTO orders AS live (at, total) VALUES (%(moment)s, %(n)s)
-- update
UPDATE orders AS live SET total = %(n)s WHERE id = %(id)s
