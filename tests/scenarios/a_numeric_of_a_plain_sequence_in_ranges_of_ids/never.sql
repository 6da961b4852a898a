-- 23505 a second event of an id
INSERT INTO "Order Events" (id) SELECT id FROM "Order Events" LIMIT 1
-- 23503 a note without an event
INSERT INTO notes VALUES (90000000)
