-- a partition has the rows of one half of a day of UTC
SELECT count(DISTINCT tableoid) IN (1, count(DISTINCT date_bin('12 hours', at, timestamptz '2000-01-03 00:00Z'))) FROM pings
