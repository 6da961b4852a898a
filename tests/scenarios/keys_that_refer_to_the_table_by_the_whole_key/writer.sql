-- insert
INSERT INTO orders AS live VALUES (%(n)s, %(moment)s)
-- move
UPDATE orders AS live SET ordered_at = %(moment)s WHERE id = %(id)s AND ordered_at = %(ordered_at)s::timestamptz
-- delete
DELETE FROM orders AS live WHERE id = %(id)s AND ordered_at = %(ordered_at)s::timestamptz
