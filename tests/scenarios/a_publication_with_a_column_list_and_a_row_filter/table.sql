CREATE ROLE scenario_publication_owner;
CREATE TABLE mails (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sent_at timestamptz NOT NULL, subject text, secret text);
CREATE TABLE folders (name text PRIMARY KEY);
INSERT INTO mails (sent_at, subject) SELECT moment, 'mail ' || n FROM pg_temp.moments(300);
CREATE PUBLICATION mails_for_search FOR TABLE mails (subject, id, sent_at) WHERE (id > 10), folders WITH (publish = 'insert, update, delete');
CREATE PUBLICATION mails_for_archive FOR TABLE mails, folders WITH (publish = 'insert');
ALTER PUBLICATION mails_for_archive OWNER TO scenario_publication_owner;
COMMENT ON PUBLICATION mails_for_search IS 'read by the search';
