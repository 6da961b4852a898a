-- a partition has the rows of one day as the clock on the wall has it
SELECT count(DISTINCT tableoid) IN (1, count(DISTINCT at::date)) FROM visits
