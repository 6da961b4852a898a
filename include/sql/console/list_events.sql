-- purpose: List a page of the events of a run, newest first; a NULL filter matches every event
-- params: run_id, before, section, kind, text, limit
-- returns: rows
-- lock: ACCESS SHARE on events
-- transaction: one
-- rerun: safe because it only reads
SELECT event_id, section, kind, message, statement, rows, duration_ms, detail, happened_at
  FROM partition_playbook.events
 WHERE run_id = %(run_id)s
   AND event_id < coalesce(%(before)s::bigint, 9223372036854775807)
   AND (%(section)s::text IS NULL OR section = %(section)s)
   AND (%(kind)s::text IS NULL OR kind = %(kind)s)
   AND (%(text)s::text IS NULL OR strpos(lower(concat_ws(' ', message, statement, detail::text)), lower(%(text)s)) > 0)
 ORDER BY event_id DESC
 LIMIT %(limit)s
