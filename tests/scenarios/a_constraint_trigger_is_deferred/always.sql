-- the check waits for the end of the transaction
WITH made AS (INSERT INTO transfers (made_at, amount) VALUES (now(), -1) RETURNING id) SELECT count(*) = 1 FROM made
