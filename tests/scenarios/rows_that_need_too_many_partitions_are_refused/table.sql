CREATE TABLE births (id bigint PRIMARY KEY, born_on date NOT NULL);
INSERT INTO births VALUES (1, '1970-01-01'), (2, current_date);
