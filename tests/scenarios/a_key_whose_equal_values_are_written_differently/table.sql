CREATE SCHEMA extensions;
CREATE EXTENSION citext SCHEMA extensions;
CREATE TABLE versions (
    number numeric,
    name extensions.citext,
    made_at timestamptz NOT NULL,
    PRIMARY KEY (number, name)
);
INSERT INTO versions SELECT n + 0.10, 'Name ' || n, moment FROM pg_temp.moments(300);
