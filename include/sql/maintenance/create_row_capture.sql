-- purpose: Create the trigger function that writes the keys of the rows that change in one partition to the change log
-- params: none
-- returns: none
-- lock: none
-- transaction: one
-- rerun: safe because it replaces itself
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS {quote}
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        RAISE EXCEPTION 'TRUNCATE of %.% is refused while Partition Playbook splits it', TG_TABLE_SCHEMA, TG_TABLE_NAME
            USING HINT = 'Use DELETE, or wait until partition_maintenance has ended';
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO {log} ({columns}) VALUES ({old});
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO {log} ({columns}) VALUES ({new});
    END IF;
    RETURN NULL;
END
{quote};
REVOKE ALL ON FUNCTION {function}() FROM PUBLIC
