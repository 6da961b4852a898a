-- a partition has the rows of one month
SELECT count(DISTINCT tableoid) IN (1, count(DISTINCT date_trunc('month', at))) FROM ticks
