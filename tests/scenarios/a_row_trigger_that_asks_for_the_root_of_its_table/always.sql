-- the audit names the table of the application, whatever it was called at the time
SELECT coalesce(bool_and(t::text !~ 'y20'), true) FROM audit
