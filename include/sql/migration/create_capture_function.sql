-- purpose: Create the trigger function that writes the keys of changed rows to the change log, whoever changed them
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
    ELSIF TG_OP <> 'TRUNCATE' AND pg_relation_size({log_text}::regclass) >= {limit} THEN
        RAISE disk_full USING MESSAGE = 'the change log has reached its limit';
    END IF;
    CASE TG_OP
        WHEN 'INSERT' THEN
            INSERT INTO {log} ({columns}) SELECT {columns} FROM new_rows;
        WHEN 'UPDATE' THEN
            INSERT INTO {log} ({columns}) SELECT {columns} FROM old_rows UNION SELECT {columns} FROM new_rows;
        WHEN 'DELETE' THEN
            INSERT INTO {log} ({columns}) SELECT {columns} FROM old_rows;
        WHEN 'TRUNCATE' THEN
            RAISE EXCEPTION 'TRUNCATE of %.% is refused while Partition Playbook migrates it', TG_TABLE_SCHEMA, TG_TABLE_NAME
                USING HINT = 'Use DELETE, or end the migration first: trigger partition_rollback or partition_finalize';
    END CASE;
    RETURN NULL;
EXCEPTION WHEN insufficient_resources OR system_error THEN
    -- The application's write goes on without its key. A sequence needs no new page for that, and no rollback undoes it.
    PERFORM nextval({loss_text}::regclass);
    RAISE LOG 'Partition Playbook captures no more changes of %.%: %', TG_TABLE_SCHEMA, TG_TABLE_NAME, SQLERRM;
    RETURN NULL;
END
{quote};
REVOKE ALL ON FUNCTION {function}() FROM PUBLIC
