-- insert
INSERT INTO archive AS live (filed_at, text) VALUES (%(moment)s, 'new')
-- delete
DELETE FROM archive AS live WHERE id = %(id)s
