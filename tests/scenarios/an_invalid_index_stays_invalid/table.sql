CREATE TABLE members (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, joined_at timestamptz NOT NULL, email text);
CREATE INDEX members_joined_at ON members (joined_at);
CREATE INDEX members_email ON members (email);
INSERT INTO members (joined_at, email) SELECT moment, n || '@example.org' FROM pg_temp.moments(300);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'members_email'::regclass;
