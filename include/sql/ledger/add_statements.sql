-- purpose: Record statements as events, in their order
-- params: run_id, section, messages, statements, rows, durations, detail
-- returns: none
-- lock: ROW EXCLUSIVE on events
-- transaction: one
-- rerun: safe because the audit keeps every repetition
INSERT INTO partition_playbook.events (run_id, section, kind, message, statement, rows, duration_ms, detail)
SELECT %(run_id)s, %(section)s, 'statement', each.message, each.statement, each.rows, each.duration_ms, %(detail)s
  FROM unnest(%(messages)s::text[], %(statements)s::text[], %(rows)s::bigint[], %(durations)s::float8[])
       WITH ORDINALITY AS each (message, statement, rows, duration_ms, number)
 ORDER BY each.number
