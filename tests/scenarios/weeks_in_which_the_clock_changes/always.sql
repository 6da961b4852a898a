-- a partition has the rows of one week as the clock on the wall has it
SELECT count(DISTINCT tableoid) IN (1, count(DISTINCT date_trunc('week', began_at, 'Europe/Berlin'))) FROM shifts
