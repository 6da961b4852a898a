-- insert
INSERT INTO orders AS live (ordered_at) VALUES (%(moment)s)
-- insert with a number that was drawn
INSERT INTO orders AS live (id, ordered_at) VALUES (nextval('orders_id_seq'), %(moment)s)
-- delete
DELETE FROM orders AS live WHERE id = %(id)s
