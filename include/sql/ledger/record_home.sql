-- purpose: Record the database to which the ledger belongs
-- params: database_name, database_oid, system_identifier
-- returns: none
-- lock: ROW EXCLUSIVE on home
-- transaction: one
-- rerun: safe because a ledger with a home keeps it
INSERT INTO partition_playbook.home (database_name, database_oid, system_identifier)
SELECT %(database_name)s, %(database_oid)s::bigint::oid, %(system_identifier)s
 WHERE NOT EXISTS (SELECT FROM partition_playbook.home)
