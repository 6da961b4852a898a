-- insert
INSERT INTO invoices AS live VALUES ('N-' || %(n)s, %(moment)s, 1)
-- insert today
INSERT INTO invoices AS live (number) VALUES ('T-' || %(n)s)
-- move
UPDATE invoices AS live SET issued_on = %(moment)s WHERE number = %(number)s
-- delete
DELETE FROM invoices AS live WHERE number = %(number)s
