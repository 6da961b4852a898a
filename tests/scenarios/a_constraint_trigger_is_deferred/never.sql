-- 23514 what the trigger refuses at the end of the transaction
INSERT INTO transfers (made_at, amount) VALUES (now(), -1)
