-- insert
INSERT INTO visits AS live (seen_at, page) VALUES (%(moment)s, 'new')
-- delete
DELETE FROM visits AS live WHERE id = %(id)s
