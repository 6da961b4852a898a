-- purpose: Read some bytes of a file of the server's log; fewer at its end
-- params: file, start, bytes
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT pg_read_binary_file(%(file)s, %(start)s::bigint, %(bytes)s::bigint) AS content
