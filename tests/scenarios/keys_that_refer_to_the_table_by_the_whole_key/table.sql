CREATE TABLE orders (id bigint, ordered_at timestamptz, note text, PRIMARY KEY (id, ordered_at));
CREATE TABLE lines (
    order_id bigint,
    ordered_at timestamptz,
    CONSTRAINT lines_order FOREIGN KEY (order_id, ordered_at) REFERENCES orders ON DELETE CASCADE ON UPDATE CASCADE DEFERRABLE
);
CREATE TABLE returns (
    order_id bigint,
    ordered_at timestamptz,
    CONSTRAINT returns_order FOREIGN KEY (ordered_at, order_id) REFERENCES orders (ordered_at, id) ON DELETE SET NULL ON UPDATE CASCADE
);
COMMENT ON CONSTRAINT lines_order ON lines IS 'a line belongs to an order';
CREATE INDEX ON lines (order_id, ordered_at);
INSERT INTO orders SELECT n, moment, 'with a line' FROM pg_temp.moments(400);
INSERT INTO lines SELECT id, ordered_at FROM orders;
INSERT INTO returns SELECT id, ordered_at FROM orders;
