-- insert unless it is there
INSERT INTO events AS live (id, kind) VALUES (uuid7_at(%(moment)s), 'new') ON CONFLICT (id) DO NOTHING
-- insert by default
INSERT INTO events AS live (kind) VALUES ('today') ON CONFLICT DO NOTHING
-- rename
UPDATE events AS live SET kind = kind || '.' WHERE id = %(id)s
-- move
UPDATE events AS live SET id = uuid7_at(%(moment)s) WHERE id = %(id)s
-- delete
DELETE FROM events AS live WHERE id = %(id)s
