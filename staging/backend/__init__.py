"""The example application of staging/application as a judge of a migration: its users count what they notice.

install     installs its npm packages and compiles it
processes   runs its server, its worker and their Redis
history     the fixed rows whose answers must never change
traffic     users that write and read through tRPC, and record each request
verdict     what the users noticed, and the reasons against a go
dashboard   loads its page in a browser
table_spec  the table spec through which the playbook asks the application
rehearsal   all of it around one rehearsal, for `make demo APP=1`

Nothing else imports it, so that a demo without it needs neither Node.js nor Redis.
"""
