CREATE TABLE complaints (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, made_at timestamptz NOT NULL, text text);
INSERT INTO complaints (made_at) VALUES (date_trunc('month', now()) - interval '5 months');
