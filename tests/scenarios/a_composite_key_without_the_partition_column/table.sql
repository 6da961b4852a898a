CREATE TABLE order_lines (
    order_no integer,
    line smallint,
    added_at timestamptz NOT NULL,
    quantity integer,
    PRIMARY KEY (line, order_no)
);
INSERT INTO order_lines SELECT n / 5, n % 5, moment, n FROM pg_temp.moments(600);
