-- every note has its event
SELECT NOT EXISTS (SELECT FROM notes LEFT JOIN "Order Events" ON id = event_id WHERE id IS NULL)
