-- purpose: List the roles with privileges on a sequence, without its owner
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT DISTINCT CASE x.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(x.grantee) END AS grantee
  FROM pg_class c
 CROSS JOIN LATERAL aclexplode(c.relacl) x
 WHERE c.oid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
   AND x.grantee <> c.relowner
