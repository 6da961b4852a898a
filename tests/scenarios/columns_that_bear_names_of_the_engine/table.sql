CREATE TABLE s (
    _change_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    t timestamptz NOT NULL,
    s integer, k integer, bucket integer, rows integer, checksum integer, old_rows integer, new_rows integer, live text, changes bigint[], contents text
);
INSERT INTO s (t, s) SELECT moment, n FROM pg_temp.moments(300);
