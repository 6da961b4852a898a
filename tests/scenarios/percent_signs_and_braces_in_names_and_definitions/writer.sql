-- insert
INSERT INTO "100%% {sold}" AS live ("{0}", "{{x}}") VALUES (%(moment)s, '{}')
-- move
UPDATE "100%% {sold}" AS live SET "{0}" = %(moment)s WHERE "{id}" = %({id})s
-- delete
DELETE FROM "100%% {sold}" AS live WHERE "{id}" = %({id})s
