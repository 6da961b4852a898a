CREATE TABLE mails (id bigint PRIMARY KEY, sent_at timestamptz NOT NULL);
INSERT INTO mails SELECT n, moment FROM pg_temp.moments(100);
CREATE PUBLICATION all_of_public FOR TABLES IN SCHEMA public;
