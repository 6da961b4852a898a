-- insert
INSERT INTO posts AS live (at, body) VALUES (%(moment)s, 'new')
-- update
UPDATE posts AS live SET body = 'changed ' || %(n)s WHERE id = %(id)s
-- delete
DELETE FROM posts AS live WHERE id = %(id)s
