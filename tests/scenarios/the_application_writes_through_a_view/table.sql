CREATE ROLE scenario_view_writer;
CREATE TABLE tasks (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, due_at timestamptz NOT NULL, title text);
CREATE VIEW open_tasks AS SELECT * FROM tasks;
GRANT SELECT, INSERT, UPDATE, DELETE ON open_tasks TO scenario_view_writer;
INSERT INTO tasks (due_at, title) SELECT moment, 'task ' || n FROM pg_temp.moments(300);
