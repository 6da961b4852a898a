-- insert
INSERT INTO messages AS live VALUES (snowflake_at(%(moment)s, %(n)s), 'new')
-- edit
UPDATE messages AS live SET content = content || '.' WHERE id = %(id)s
-- move
UPDATE messages AS live SET id = snowflake_at(%(moment)s, %(n)s) WHERE id = %(id)s
-- delete
DELETE FROM messages AS live WHERE id = %(id)s
