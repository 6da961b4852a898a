CREATE SEQUENCE ticket_numbers;
CREATE TABLE tickets (
    code text DEFAULT 'T-' || nextval('ticket_numbers') PRIMARY KEY,
    opened_at timestamptz NOT NULL
);
ALTER SEQUENCE ticket_numbers OWNED BY tickets.code;
INSERT INTO tickets (opened_at) SELECT moment FROM pg_temp.moments(300);
