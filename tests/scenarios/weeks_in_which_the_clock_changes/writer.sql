-- insert
INSERT INTO shifts AS live (began_at) VALUES (%(moment)s)
-- insert at a bound
INSERT INTO shifts AS live (began_at) VALUES (date_trunc('week', %(moment)s::timestamptz, 'Europe/Berlin'))
-- insert before a bound
INSERT INTO shifts AS live (began_at) VALUES (date_trunc('week', %(moment)s::timestamptz, 'Europe/Berlin') - interval '1 microsecond')
-- move
UPDATE shifts AS live SET began_at = date_trunc('week', %(moment)s::timestamptz, 'Europe/Berlin') + interval '2 hours' WHERE id = %(id)s
-- delete
DELETE FROM shifts AS live WHERE id = %(id)s
