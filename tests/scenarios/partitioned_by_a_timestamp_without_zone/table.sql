CREATE TABLE logs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, logged_at timestamp(3) NOT NULL, line text);
CREATE INDEX logs_logged_at ON logs (logged_at);
INSERT INTO logs (logged_at, line) SELECT moment, 'line ' || n FROM pg_temp.moments(600);
