CREATE TABLE sales (id bigint PRIMARY KEY, sold_at timestamptz NOT NULL);
CREATE MATERIALIZED VIEW days AS SELECT date_trunc('day', sold_at) AS day, count(*) AS sales FROM sales GROUP BY 1;
CREATE MATERIALIZED VIEW months AS SELECT date_trunc('month', day) AS month, sum(sales) FROM days GROUP BY 1;
INSERT INTO sales SELECT n, moment FROM pg_temp.moments(100);
