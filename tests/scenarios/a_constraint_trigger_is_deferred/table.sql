CREATE TABLE fired (trigger text);
CREATE TABLE transfers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, made_at timestamptz NOT NULL, amount numeric);
CREATE FUNCTION balance_it() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.amount < 0 THEN
        RAISE check_violation;
    END IF;
    INSERT INTO public.fired VALUES (TG_NAME);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER balanced AFTER INSERT ON transfers DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION balance_it();
INSERT INTO transfers (made_at, amount) SELECT moment, n FROM pg_temp.moments(300);
