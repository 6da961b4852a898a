CREATE TYPE entry AS (id bigint, made_at timestamptz);
CREATE TABLE entries OF entry (PRIMARY KEY (id), made_at NOT NULL);
INSERT INTO entries SELECT n, moment FROM pg_temp.moments(100);
