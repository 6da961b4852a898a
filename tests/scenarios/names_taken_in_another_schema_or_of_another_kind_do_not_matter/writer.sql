-- insert
INSERT INTO visits AS live (came_at, shop) VALUES (%(moment)s, 1)
-- delete
DELETE FROM visits AS live WHERE id = %(id)s
