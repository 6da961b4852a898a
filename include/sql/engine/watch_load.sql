-- purpose: Read the bytes that a load has written, the bytes per row of the source, and the size of the change log
-- params: schema, names, source, log
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT (SELECT coalesce(sum(pg_relation_size(c.oid)), 0)::bigint
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = %(schema)s AND c.relname = ANY (%(names)s)) AS bytes,
       (SELECT pg_relation_size(c.oid) / greatest(c.reltuples, 1) FROM pg_class c
         WHERE c.oid = to_regclass(format('%%I.%%I', %(schema)s::text, %(source)s::text))) AS row_bytes,
       pg_relation_size(to_regclass(%(log)s)) AS log_bytes
