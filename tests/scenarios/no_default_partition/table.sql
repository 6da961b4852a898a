CREATE TABLE imports (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, made_at timestamptz NOT NULL, text text);
INSERT INTO imports (made_at) SELECT moment FROM pg_temp.moments(300);
