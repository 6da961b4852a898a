-- insert
INSERT INTO everything AS live (at, json, home, texts) VALUES (%(moment)s, '{ }', '(,,)', '{}')
-- insert nothing but the moment
INSERT INTO everything AS live (at) VALUES (%(moment)s)
-- update
UPDATE everything AS live SET json = '{"new":   1}', mood = 'sad', number = -number, double = '-Infinity', bytes = '' WHERE id = %(id)s
-- move
UPDATE everything AS live SET at = %(moment)s WHERE id = %(id)s
-- delete
DELETE FROM everything AS live WHERE id = %(id)s
