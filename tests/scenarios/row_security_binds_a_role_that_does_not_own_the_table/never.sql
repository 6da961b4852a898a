-- 42501 a tenant that the application may not write
SET LOCAL ROLE scenario_rls_app; INSERT INTO tickets (opened_at, tenant) VALUES (now(), 4)
-- 42501 a text that the restrictive policy forbids
SET LOCAL ROLE scenario_rls_app; INSERT INTO tickets (opened_at, tenant, text) VALUES (now(), 1, 'secret')
-- 42501 a write by the reader
SET LOCAL ROLE scenario_rls_reader; DELETE FROM tickets
