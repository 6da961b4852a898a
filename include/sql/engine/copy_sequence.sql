-- purpose: Let one identity sequence continue from the other, after a range for the calls of nextval() that still use the other
-- params: none
-- returns: row
-- lock: ROW EXCLUSIVE on the sequence
-- transaction: one
-- rerun: safe because it copies the present state
SELECT setval({target}::regclass,
              -- Half of what is left at most, so that a short sequence lasts.
              (last_value + seqincrement * least({reserve} * seqcache,
                  div((CASE WHEN seqincrement > 0 THEN seqmax ELSE seqmin END)::numeric - last_value, 2 * seqincrement)))::bigint,
              is_called)
  FROM {source} CROSS JOIN pg_sequence
 WHERE seqrelid = {source_text}::regclass
