-- purpose: Record a message to people, unless the run has sent the same one before
-- params: run_id, section, subject, kind, detail
-- returns: rows
-- lock: ROW EXCLUSIVE on events
-- transaction: one
-- rerun: safe because a recorded message is skipped
INSERT INTO partition_playbook.events (run_id, section, kind, message, detail)
SELECT %(run_id)s, %(section)s, 'announcement', %(subject)s, %(detail)s
 WHERE NOT EXISTS (SELECT
                     FROM partition_playbook.events
                    WHERE run_id = %(run_id)s
                      AND kind = 'announcement'
                      AND message = %(subject)s
                      -- A message of an earlier version has no kind.
                      AND coalesce(detail->>'kind', detail->>'text') = %(kind)s)
RETURNING event_id
