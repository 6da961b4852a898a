-- insert
INSERT INTO samples AS live VALUES (%(n)s, extract(epoch FROM %(moment)s::timestamptz) * 1000)
-- move
UPDATE samples AS live SET taken = extract(epoch FROM %(moment)s::timestamptz) * 1000 WHERE device = %(device)s
-- delete
DELETE FROM samples AS live WHERE device = %(device)s
