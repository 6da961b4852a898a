-- insert
INSERT INTO tickets AS live (sold_at) VALUES (%(moment)s)
-- delete
DELETE FROM tickets AS live WHERE id = %(id)s
