-- insert
INSERT INTO order_lines AS live VALUES (%(n)s, 1, %(moment)s, 0)
-- move
UPDATE order_lines AS live SET added_at = %(moment)s WHERE order_no = %(order_no)s AND line = %(line)s
-- renumber
UPDATE order_lines AS live SET order_no = %(n)s, line = 7 WHERE order_no = %(order_no)s AND line = %(line)s
-- delete
DELETE FROM order_lines AS live WHERE order_no = %(order_no)s AND line = %(line)s
