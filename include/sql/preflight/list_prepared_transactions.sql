-- purpose: List the prepared transactions with a lock on a table, with their age in seconds
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT p.gid, p.owner::text AS owner, extract(epoch FROM clock_timestamp() - p.prepared)::float8 AS seconds
  FROM pg_prepared_xacts p
 WHERE EXISTS (SELECT FROM pg_locks l
                 JOIN pg_locks own ON own.virtualtransaction = l.virtualtransaction
                WHERE l.locktype = 'relation'
                  AND own.locktype = 'transactionid'
                  AND own.transactionid = p.transaction
                  AND l.relation = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text)))
 ORDER BY p.prepared
