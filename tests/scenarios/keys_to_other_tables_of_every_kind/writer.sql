-- insert
INSERT INTO measurements AS live (measured_at, country, site) VALUES (%(moment)s, 'DE', 1)
-- move
UPDATE measurements AS live SET measured_at = %(moment)s, country = NULL, site = NULL WHERE id = %(id)s
-- delete
DELETE FROM measurements AS live WHERE id = %(id)s
