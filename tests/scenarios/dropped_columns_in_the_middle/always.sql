-- the view has the rows of the table
SELECT (SELECT count(*) FROM heavy_shipments) = (SELECT count(*) FROM shipments WHERE weight > 30)
