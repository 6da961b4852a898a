-- the views have the rows of the table
SELECT (SELECT count(*) FROM good_readings) = count(*) AND (SELECT count(DISTINCT date_trunc('day', read_at)) FROM good_readings) = (SELECT count(*) FROM reporting.days)
  FROM readings WHERE value > 0
