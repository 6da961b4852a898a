-- purpose: Look for the detached table of a retention proof: by its name, and by the oid that the ledger noted
-- params: schema, name, message
-- returns: value
-- lock: ACCESS SHARE on events
-- transaction: one
-- rerun: safe because it only reads
SELECT EXISTS (SELECT FROM pg_class c
                 JOIN partition_playbook.events e ON e.kind = 'note' AND e.message = %(message)s AND e.detail->>'oid' = c.oid::text
                WHERE c.oid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text)) AND c.relkind = 'r' AND NOT c.relispartition)
