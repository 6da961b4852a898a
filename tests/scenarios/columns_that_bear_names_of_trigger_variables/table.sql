CREATE TABLE sightings (
    new bigint GENERATED ALWAYS AS IDENTITY,
    old text NOT NULL DEFAULT 'a',
    tg_op text NOT NULL DEFAULT 'DELETE',
    loss integer NOT NULL DEFAULT 1,
    found timestamptz NOT NULL,
    state text, problem text, code integer, place integer, tg_argv text, new_row integer, old_row integer,
    PRIMARY KEY (new, old, tg_op, loss)
);
INSERT INTO sightings (found, state) SELECT moment, 'bird ' || n FROM pg_temp.moments(300);
