-- purpose: Create the trigger function that refuses writes to a partition of the standby
-- params: none
-- returns: none
-- lock: none
-- transaction: one
-- rerun: safe because it replaces the function
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS {quote}
BEGIN
    RAISE EXCEPTION '%.% is no longer part of %', TG_TABLE_SCHEMA, TG_TABLE_NAME, {live}
        USING HINT = {hint};
END
{quote};
REVOKE ALL ON FUNCTION {function}() FROM PUBLIC
