CREATE ROLE scenario_serial_importer;
CREATE TABLE orders (
    id serial PRIMARY KEY,
    ordered_at timestamptz NOT NULL,
    position bigserial,
    total numeric(10, 2)
);
CREATE TABLE archived_orders (id integer DEFAULT nextval('orders_id_seq') PRIMARY KEY);
CREATE SEQUENCE invoice_numbers OWNED BY orders.total;
ALTER SEQUENCE orders_position_seq INCREMENT BY 10 CACHE 20;
GRANT USAGE ON SEQUENCE orders_id_seq TO scenario_serial_importer;
INSERT INTO orders (ordered_at, total) SELECT moment, n FROM pg_temp.moments(600);
