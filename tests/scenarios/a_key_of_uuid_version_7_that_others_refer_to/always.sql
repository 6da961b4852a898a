-- every note has its event
SELECT NOT EXISTS (SELECT FROM notes LEFT JOIN events ON id = event_id WHERE id IS NULL)
