-- purpose: Read the database to which the ledger belongs
-- params: none
-- returns: rows
-- lock: ACCESS SHARE on home
-- transaction: one
-- rerun: safe because it only reads
SELECT database_name, database_oid::bigint AS database_oid, system_identifier FROM partition_playbook.home
