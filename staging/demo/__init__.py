"""One command: rehearse the migration of live rows, watch it, and say go or no-go.

afresh     ends the runs of an earlier demo and gives this one a new database
progress   what the run is doing at this moment, read without standing in anybody's way
display    shows that: live in a terminal, else as plain lines
outcome    what was found, the verdict over it, the exit code, and all of it as JSON
scorecard  prints what was found
"""
