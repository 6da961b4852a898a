CREATE TABLE tickets (id bigint PRIMARY KEY, opened_at timestamptz NOT NULL, title text, body text);
CREATE TABLE agents (name text PRIMARY KEY);
