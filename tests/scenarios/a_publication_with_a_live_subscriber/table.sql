CREATE TABLE tickets (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, opened_at timestamptz NOT NULL, title text, body text);
CREATE TABLE agents (name text PRIMARY KEY);
INSERT INTO tickets (opened_at, title) SELECT moment, 'ticket ' || n FROM pg_temp.moments(400);
CREATE PUBLICATION scenario FOR TABLE tickets, agents;
