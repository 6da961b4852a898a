-- insert
INSERT INTO pictures AS live (taken_at, pixels) VALUES (%(moment)s, repeat(md5(%(n)s::text), 500))
-- update beside it
UPDATE pictures AS live SET title = 'new' WHERE id = %(id)s
-- update in it
UPDATE pictures AS live SET meta = jsonb_set(meta, '{a}', '"c"') WHERE id = %(id)s
-- move
UPDATE pictures AS live SET taken_at = %(moment)s WHERE id = %(id)s
-- delete
DELETE FROM pictures AS live WHERE id = %(id)s
