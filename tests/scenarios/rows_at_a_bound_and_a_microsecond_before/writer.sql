-- insert
INSERT INTO ticks AS live (at) VALUES (date_trunc('month', %(moment)s::timestamptz))
-- insert before
INSERT INTO ticks AS live (at) VALUES (date_trunc('month', %(moment)s::timestamptz) - interval '1 microsecond')
-- move over the bound
UPDATE ticks AS live SET at = at + interval '1 microsecond' WHERE id = %(id)s
-- move back
UPDATE ticks AS live SET at = at - interval '1 microsecond' WHERE id = %(id)s
-- delete
DELETE FROM ticks AS live WHERE id = %(id)s
