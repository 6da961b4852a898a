-- purpose: Create the trigger function for the keys of changed rows
-- params: none
-- returns: none
-- lock: none
-- transaction: one
-- rerun: safe because it replaces the function and keeps an existing sequence
CREATE SEQUENCE IF NOT EXISTS {loss} OWNED BY {owner};
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS {quote}
-- A column may be named like a variable: found, new, old, tg_op or one of these.
#variable_conflict use_column
DECLARE
    loss regclass;
    state text;
    problem text;
    code bigint := 0;
BEGIN
    -- Both look past the snapshot of an older transaction. A write to the table itself pays for the first only.
    IF pg_partition_root(TG_RELID) <> TG_RELID AND to_regproc({guard_text}) IS NOT NULL THEN
        RAISE EXCEPTION '%.% is no longer part of %', TG_TABLE_SCHEMA, TG_TABLE_NAME, {live_text}
            USING HINT = {direct_hint};
    END IF;
    BEGIN
        loss := to_regclass({loss_text});
        IF loss IS NULL OR pg_sequence_last_value(loss) IS NOT NULL THEN
            RETURN NULL;
        ELSIF TG_OP <> 'TRUNCATE' THEN
            IF pg_relation_size({log_text}::regclass) >= {limit} THEN
                RAISE disk_full USING MESSAGE = 'the change log has reached its limit';
            END IF;
            {write_keys};
            RETURN NULL;
        END IF;
    -- OTHERS leaves out a canceled query, and a failed assertion.
    EXCEPTION WHEN OTHERS OR assert_failure THEN
        IF SQLSTATE ~ {for_application} THEN
            RAISE;
        END IF;
        state := SQLSTATE;
        problem := SQLERRM;
    END;
    IF state IS NULL THEN
        RAISE EXCEPTION 'TRUNCATE of %.% is refused while Partition Playbook % it', TG_TABLE_SCHEMA, TG_TABLE_NAME, {work}
            USING HINT = {hint};
    END IF;
    -- The application's write succeeds without its key. setval needs no new page here, and no rollback undoes it.
    BEGIN
        FOR place IN 1..5 LOOP
            code := 36 * code + strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', substr(state, place, 1)) - 1;
        END LOOP;
        PERFORM setval(loss, code);
    EXCEPTION WHEN OTHERS OR assert_failure THEN
        IF SQLSTATE ~ {for_application} THEN
            RAISE;
        END IF;
    END;
    RAISE LOG 'Partition Playbook captures no more changes of %.%: %', TG_TABLE_SCHEMA, TG_TABLE_NAME, problem;
    RETURN NULL;
END
{quote};
REVOKE ALL ON FUNCTION {function}() FROM PUBLIC
