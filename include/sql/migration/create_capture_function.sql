-- purpose: Create the trigger function that writes the keys of changed rows to the change log, whoever changed them
-- params: none
-- returns: none
-- lock: none
-- transaction: one
-- rerun: safe because it replaces itself
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS {quote}
BEGIN
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
END
{quote};
REVOKE ALL ON FUNCTION {function}() FROM PUBLIC
