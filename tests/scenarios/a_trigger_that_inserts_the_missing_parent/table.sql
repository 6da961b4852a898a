CREATE TABLE devices (id integer PRIMARY KEY, first_seen timestamptz);
CREATE TABLE grades (code varchar(1) PRIMARY KEY);
CREATE TABLE readings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    read_at timestamptz NOT NULL,
    device integer NOT NULL CONSTRAINT readings_device REFERENCES devices,
    corrected integer CONSTRAINT readings_corrected REFERENCES devices,
    grade varchar(1) CONSTRAINT readings_grade REFERENCES grades
);
INSERT INTO devices SELECT generate_series(0, 19);
INSERT INTO grades SELECT substr('0123456789abcdef', n, 1) FROM generate_series(1, 16) AS n;
INSERT INTO readings (read_at, device, grade) SELECT moment, n % 20, 'a' FROM pg_temp.moments(300);
CREATE FUNCTION meet() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.devices VALUES (NEW.device, NEW.read_at) ON CONFLICT DO NOTHING;
    NEW.corrected := NEW.device;
    RETURN NEW;
END $$;
CREATE TRIGGER meet BEFORE INSERT ON readings FOR EACH ROW EXECUTE FUNCTION meet();
