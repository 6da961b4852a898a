CREATE TABLE prices (article text NOT NULL, valid_from timestamptz NOT NULL, price numeric);
CREATE UNIQUE INDEX prices_article ON prices (article, valid_from);
INSERT INTO prices SELECT 'a' || n, moment, n FROM pg_temp.moments(300);
