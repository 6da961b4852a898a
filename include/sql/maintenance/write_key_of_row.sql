-- purpose: Write the keys of one changed row, before and after the change
-- params: none
-- returns: none
-- lock: ROW EXCLUSIVE on the change log
-- transaction: one
-- rerun: safe because it is part of the body of a trigger function
IF TG_OP <> 'INSERT' THEN
    INSERT INTO {log} ({columns}) VALUES ({old});
END IF;
IF TG_OP <> 'DELETE' THEN
    INSERT INTO {log} ({columns}) VALUES ({new});
END IF;
