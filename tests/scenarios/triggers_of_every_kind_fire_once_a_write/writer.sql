-- insert
INSERT INTO jobs AS live (queued_at) VALUES (%(moment)s)
-- start
UPDATE jobs AS live SET state = 'started ' || %(n)s WHERE id = %(id)s
-- touch
UPDATE jobs AS live SET touched = 0 WHERE id = %(id)s
-- delete
DELETE FROM jobs AS live WHERE id = %(id)s
