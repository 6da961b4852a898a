-- purpose: Read the age of a table and of its TOAST table against the limits at which an anti-wraparound autovacuum begins
-- params: schema, name
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
WITH source AS (
    SELECT c.* FROM pg_class c WHERE c.oid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
), ages AS (
    SELECT c.oid = (SELECT oid FROM source) AS own, age(c.relfrozenxid) AS xids, mxid_age(c.relminmxid) AS multixacts, c.reloptions
      FROM pg_class c
     WHERE c.oid IN (SELECT oid FROM source UNION SELECT reltoastrelid FROM source)
), limited AS (
    -- The table's own limit can only lower the server's.
    SELECT xids,
           multixacts,
           least(current_setting('autovacuum_freeze_max_age')::bigint,
                 (SELECT split_part(o, '=', 2)::bigint FROM unnest(reloptions) o WHERE o LIKE 'autovacuum\_freeze\_max\_age=%%')) AS xid_limit,
           least(current_setting('autovacuum_multixact_freeze_max_age')::bigint,
                 (SELECT split_part(o, '=', 2)::bigint FROM unnest(reloptions) o WHERE o LIKE 'autovacuum\_multixact\_freeze\_max\_age=%%')) AS multixact_limit
      FROM ages
)
SELECT max(xids) AS xids,
       min(xid_limit) AS xid_limit,
       max(multixacts) AS multixacts,
       min(multixact_limit) AS multixact_limit,
       max(greatest(xids::float8 / xid_limit, multixacts::float8 / multixact_limit)) AS share
  FROM limited
