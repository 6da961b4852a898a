-- 23502 a new row without a note
INSERT INTO parcels (sent_at) VALUES (now())
