CREATE TABLE mails (id bigint PRIMARY KEY, sent_at timestamptz NOT NULL, subject text);
INSERT INTO mails SELECT n, moment FROM pg_temp.moments(100);
CREATE PUBLICATION mails_for_search FOR TABLE mails (id, subject);
