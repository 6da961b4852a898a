-- insert
INSERT INTO versions AS live VALUES (%(n)s, 'NEW', %(moment)s)
-- respell
UPDATE versions AS live SET number = round(number, scale(number) + 1), name = translate(name::text, 'AaMmEe', 'aAmMeE')
 WHERE number = %(number)s AND name::text = %(name)s
-- move
UPDATE versions AS live SET made_at = %(moment)s WHERE number = %(number)s AND name::text = %(name)s
-- delete
DELETE FROM versions AS live WHERE number = %(number)s AND name::text = %(name)s
