-- session
SET ROLE scenario_rls_app
-- insert
INSERT INTO tickets AS live (opened_at, tenant, text) VALUES (%(moment)s, 1, 'new')
-- move
UPDATE tickets AS live SET opened_at = %(moment)s, tenant = 2 WHERE id = %(id)s
-- delete
DELETE FROM tickets AS live WHERE id = %(id)s
