CREATE TABLE messages (id bigint PRIMARY KEY, sent_at timestamptz NOT NULL, answers bigint CONSTRAINT messages_answers REFERENCES messages);
INSERT INTO messages SELECT n, moment, nullif(n - 1, 0) FROM pg_temp.moments(100);
