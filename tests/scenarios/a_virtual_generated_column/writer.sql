-- insert
INSERT INTO sales AS live (sold_at, net) VALUES (%(moment)s, 1)
-- update
UPDATE sales AS live SET net = net + 1 WHERE id = %(id)s
-- move
UPDATE sales AS live SET sold_at = %(moment)s WHERE id = %(id)s
-- delete
DELETE FROM sales AS live WHERE id = %(id)s
