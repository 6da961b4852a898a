-- insert as the server does
INSERT INTO history AS live (itemid, clock, ns, value) VALUES (7, extract(epoch FROM %(moment)s::timestamptz)::int, %(n)s, 1.5)
-- upsert
INSERT INTO history AS live (itemid, clock, ns, value) VALUES (8, extract(epoch FROM %(moment)s::timestamptz)::int, %(n)s, 2)
    ON CONFLICT (itemid, clock, ns) DO UPDATE SET value = excluded.value
-- correct
UPDATE history AS live SET value = value + 1 WHERE itemid = %(itemid)s AND clock = %(clock)s AND ns = %(ns)s
-- move
UPDATE history AS live SET clock = extract(epoch FROM %(moment)s::timestamptz)::int, ns = %(n)s WHERE itemid = %(itemid)s AND clock = %(clock)s AND ns = %(ns)s
-- housekeeper
DELETE FROM history AS live WHERE itemid = %(itemid)s AND clock = %(clock)s AND ns = %(ns)s
-- insert without a clock
INSERT INTO history AS live (itemid, ns) VALUES (9, %(n)s)
-- insert at the end of the clock
INSERT INTO history AS live (itemid, clock, ns) VALUES (9, 2147483647, %(n)s)
