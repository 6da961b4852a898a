-- upsert
INSERT INTO meter_readings AS live VALUES (%(moment)s, 1, 'm1', %(n)s)
ON CONFLICT (tenant, meter, read_at) DO UPDATE SET kwh = live.kwh + excluded.kwh
-- upsert by the name of the key
INSERT INTO meter_readings AS live VALUES (date_trunc('day', %(moment)s::timestamptz), 2, 'm1', %(n)s)
ON CONFLICT ON CONSTRAINT one_reading_at_a_time DO UPDATE SET kwh = excluded.kwh
-- move
UPDATE meter_readings AS live SET meter = 'moved ' || %(n)s, read_at = %(moment)s
 WHERE tenant = %(tenant)s AND read_at = %(read_at)s::timestamptz AND meter = %(meter)s
-- delete
DELETE FROM meter_readings AS live WHERE tenant = %(tenant)s AND read_at = %(read_at)s::timestamptz AND meter = %(meter)s
