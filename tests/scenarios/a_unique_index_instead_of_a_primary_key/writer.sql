-- upsert
INSERT INTO prices AS live VALUES ('n' || %(n)s, %(moment)s, 1) ON CONFLICT (article, valid_from) DO UPDATE SET price = 0
-- move
UPDATE prices AS live SET valid_from = %(moment)s WHERE article = %(article)s AND valid_from = %(valid_from)s::timestamptz
-- delete
DELETE FROM prices AS live WHERE article = %(article)s AND valid_from = %(valid_from)s::timestamptz
