-- purpose: Write the keys of the rows changed by one statement, from its transition tables
-- params: none
-- returns: none
-- lock: ROW EXCLUSIVE on the change log
-- transaction: one
-- rerun: safe because it is part of the body of a trigger function
CASE TG_OP
    WHEN 'INSERT' THEN
        INSERT INTO {log} ({columns}) SELECT {new} FROM new_rows AS new_row;
    WHEN 'UPDATE' THEN
        INSERT INTO {log} ({columns}) SELECT {old} FROM old_rows AS old_row UNION SELECT {new} FROM new_rows AS new_row;
    WHEN 'DELETE' THEN
        INSERT INTO {log} ({columns}) SELECT {old} FROM old_rows AS old_row;
END CASE;
