-- every line has its order and every order its line
SELECT NOT EXISTS (SELECT FROM (SELECT * FROM orders WHERE note = 'with a line') AS o
                    FULL JOIN lines ON lines.order_id = o.id AND lines.ordered_at = o.ordered_at
                   WHERE o.id IS NULL OR lines.order_id IS NULL)
-- every return stays, and refers to the same orders as the lines
SELECT count(*) = 400 AND count(order_id) = (SELECT count(*) FROM lines) FROM returns
