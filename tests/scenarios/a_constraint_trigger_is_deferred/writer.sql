-- insert
INSERT INTO transfers AS live (made_at, amount) VALUES (%(moment)s, 1)
-- update
UPDATE transfers AS live SET amount = 0 WHERE id = %(id)s
-- delete
DELETE FROM transfers AS live WHERE id = %(id)s
