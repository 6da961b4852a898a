CREATE SCHEMA archive;
CREATE TABLE events (id bigserial PRIMARY KEY, at timestamptz NOT NULL, kind text);
CREATE TABLE archive.events (id bigserial PRIMARY KEY, at timestamptz NOT NULL, kind text);
CREATE INDEX events_kind ON events (kind);
CREATE INDEX events_kind ON archive.events (kind);
CREATE TABLE events_of_others (id bigint PRIMARY KEY);
INSERT INTO events (at, kind) SELECT moment, 'public' FROM pg_temp.moments(100);
INSERT INTO archive.events (at, kind) SELECT moment, 'archive' FROM pg_temp.moments(300);
