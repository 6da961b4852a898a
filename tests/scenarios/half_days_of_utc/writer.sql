-- insert
INSERT INTO pings AS live (at) VALUES (now() - (%(n)s %% 70) * interval '1 hour')
-- insert by the clock of another zone
INSERT INTO pings AS live (at) VALUES ((now() AT TIME ZONE 'Asia/Kathmandu')::timestamp AT TIME ZONE 'Asia/Kathmandu')
-- insert at a bound
INSERT INTO pings AS live (at) VALUES (date_bin('12 hours', now(), '2000-01-03 00:00Z'))
-- insert before a bound
INSERT INTO pings AS live (at) VALUES (date_bin('12 hours', now(), '2000-01-03 00:00Z') - interval '1 microsecond')
-- move
UPDATE pings AS live SET at = now() - (%(n)s %% 5) * interval '12 hours' WHERE id = %(id)s
-- delete
DELETE FROM pings AS live WHERE id = %(id)s
