-- 23514 the check holds
INSERT INTO "Mess-Daten"."Order" ("When", "from") VALUES (now(), -10)
