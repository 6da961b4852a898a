-- purpose: Open or close the switch in the CHECK constraint of the default partition; closed, it excludes its ranges
-- params: none
-- returns: none
-- lock: none; to close it, the caller holds ACCESS EXCLUSIVE on the default partition, and opens it again before it commits
-- transaction: one
-- rerun: safe because it replaces the function
CREATE OR REPLACE FUNCTION {function}() RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN {open}
