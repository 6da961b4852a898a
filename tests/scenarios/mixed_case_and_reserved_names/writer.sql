-- insert
INSERT INTO "Mess-Daten"."Order" AS live ("When", "from", "Group", "a""b") VALUES (%(moment)s, %(n)s, 'new', %(n)s)
-- update
UPDATE "Mess-Daten"."Order" AS live SET "Group" = NULL, "Straße Nr." = 'moved' WHERE "select" = %(select)s
-- move
UPDATE "Mess-Daten"."Order" AS live SET "When" = %(moment)s WHERE "select" = %(select)s
-- delete
DELETE FROM "Mess-Daten"."Order" AS live WHERE "select" = %(select)s
