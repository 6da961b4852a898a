-- insert
INSERT INTO messages AS live VALUES (%(n)s, %(moment)s)
-- move
UPDATE messages AS live SET (sent_at, thread_sent_at) = (SELECT moment, moment FROM (SELECT %(moment)s::timestamptz AS moment) AS m)
 WHERE id = %(id)s AND sent_at = %(sent_at)s::timestamptz
-- delete
DELETE FROM messages AS live WHERE id = %(id)s AND sent_at = %(sent_at)s::timestamptz
