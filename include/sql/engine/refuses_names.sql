-- purpose: Tell whether the capture function refuses writes that name a partition while the guard exists; one of an earlier version does not
-- params: function, guard
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT EXISTS (SELECT FROM pg_proc p WHERE p.oid = to_regproc(%(function)s) AND strpos(p.prosrc, quote_literal(%(guard)s)) > 0)
