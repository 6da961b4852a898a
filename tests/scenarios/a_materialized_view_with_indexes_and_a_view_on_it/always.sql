-- what it has is of the table, of now or of before
SELECT sum(sales) BETWEEN 100 AND 10000 FROM days
