-- purpose: Create the trigger function that writes the keys of the rows that change in one partition to the change log
-- params: none
-- returns: none
-- lock: none
-- transaction: one
-- rerun: safe because it replaces itself and keeps the sequence that is there
CREATE SEQUENCE IF NOT EXISTS {loss} OWNED BY {owner};
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS {quote}
BEGIN
    IF pg_sequence_last_value({loss_text}::regclass) IS NOT NULL THEN
        RETURN NULL;
    ELSIF TG_OP = 'TRUNCATE' THEN
        RAISE EXCEPTION 'TRUNCATE of %.% is refused while Partition Playbook splits it', TG_TABLE_SCHEMA, TG_TABLE_NAME
            USING HINT = 'Use DELETE, or wait until partition_maintenance has ended';
    ELSIF pg_relation_size({log_text}::regclass) >= {limit} THEN
        RAISE disk_full USING MESSAGE = 'the change log has reached its limit';
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO {log} ({columns}) VALUES ({old});
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO {log} ({columns}) VALUES ({new});
    END IF;
    RETURN NULL;
EXCEPTION WHEN insufficient_resources OR system_error THEN
    -- As in a migration: the application's write goes on without its key, and the split gives up.
    PERFORM nextval({loss_text}::regclass);
    RAISE LOG 'Partition Playbook captures no more changes of %.%: %', TG_TABLE_SCHEMA, TG_TABLE_NAME, SQLERRM;
    RETURN NULL;
END
{quote};
REVOKE ALL ON FUNCTION {function}() FROM PUBLIC
