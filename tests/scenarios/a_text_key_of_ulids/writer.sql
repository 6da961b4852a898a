-- insert
INSERT INTO "Jobs" AS live VALUES (ulid_at(%(moment)s), 'new') ON CONFLICT (id) DO NOTHING
-- update
UPDATE "Jobs" AS live SET state = state || '.' WHERE id = %(id)s
-- move
UPDATE "Jobs" AS live SET id = ulid_at(%(moment)s) WHERE id = %(id)s
-- delete
DELETE FROM "Jobs" AS live WHERE id = %(id)s
