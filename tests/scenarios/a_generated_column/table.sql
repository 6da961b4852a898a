CREATE TABLE sales (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sold_at timestamp NOT NULL,
    net numeric(10, 2) NOT NULL,
    sold_on date GENERATED ALWAYS AS (sold_at::date) STORED,
    gross numeric(12, 4) GENERATED ALWAYS AS (net * 1.19) STORED CHECK (gross < 1e8),
    note text
);
CREATE INDEX sales_sold_on ON sales (sold_on);
INSERT INTO sales (sold_at, net, note) SELECT moment, n / 3.0, nullif('note ' || n % 5, 'note 1') FROM pg_temp.moments(600);
