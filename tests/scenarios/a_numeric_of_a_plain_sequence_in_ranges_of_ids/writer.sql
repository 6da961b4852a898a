-- insert
INSERT INTO "Order Events" AS live (content) VALUES ('new')
-- insert unless it is there
INSERT INTO "Order Events" AS live (content) VALUES ('new') ON CONFLICT (id) DO NOTHING
-- insert or change
INSERT INTO "Order Events" AS live (id, content) VALUES (1 + %(n)s * 997 %% 600000, 'late') ON CONFLICT (id) DO UPDATE SET content = live.content || '!'
-- edit
UPDATE "Order Events" AS live SET content = content || '.' WHERE id = %(id)s
