-- insert
INSERT INTO orders AS live (ordered_at, total) VALUES (%(moment)s, 1)
-- insert with a number
INSERT INTO orders AS live (ordered_at, total) VALUES (%(moment)s, nextval('invoice_numbers'))
-- move
UPDATE orders AS live SET ordered_at = %(moment)s WHERE id = %(id)s
-- delete
DELETE FROM orders AS live WHERE id = %(id)s
