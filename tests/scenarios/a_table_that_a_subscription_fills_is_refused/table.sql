CREATE TABLE mails (id bigint PRIMARY KEY, sent_at timestamptz NOT NULL);
INSERT INTO mails SELECT n, moment FROM pg_temp.moments(100);
CREATE SUBSCRIPTION mails_from_elsewhere CONNECTION 'dbname=elsewhere' PUBLICATION mails WITH (connect = false);
INSERT INTO pg_subscription_rel SELECT oid, 'mails'::regclass, 'r' FROM pg_subscription WHERE subname = 'mails_from_elsewhere';
