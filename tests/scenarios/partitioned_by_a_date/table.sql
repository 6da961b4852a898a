CREATE TABLE invoices (number text PRIMARY KEY, issued_on date NOT NULL DEFAULT current_date, total numeric);
INSERT INTO invoices SELECT 'R-' || n, moment, n FROM pg_temp.moments(600);
