-- insert
INSERT INTO contracts AS live (ends_at) VALUES (%(moment)s)
-- move far
UPDATE contracts AS live SET ends_at = now() + (%(n)s %% 40) * interval '1 year' WHERE id = %(id)s
-- delete
DELETE FROM contracts AS live WHERE id = %(id)s
