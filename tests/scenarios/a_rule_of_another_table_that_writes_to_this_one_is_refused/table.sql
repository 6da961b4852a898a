CREATE TABLE audit (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, written_at timestamptz NOT NULL DEFAULT now(), text text);
CREATE TABLE settings (name text, value text);
CREATE RULE audit_it AS ON UPDATE TO settings DO ALSO INSERT INTO audit (text) VALUES (old.name);
INSERT INTO audit (written_at) SELECT moment FROM pg_temp.moments(100);
