"""One command: rehearse the migration under live writes, show its progress, and print GO or NO-GO.

afresh     ends the runs of an earlier demo and creates a new database
table_spec writes the spec of a table whose id carries time
progress   reads the state of the run from Airflow and the ledger, with short lock timeouts
watch      follows the run to its end, and answers its questions
display    shows the progress: live in a terminal, else as plain lines
rehearsal  starts the writers, triggers the run, compares the table with their record
outcome    the results, the verdict, the exit code, and the results as JSON
scorecard  prints the results
"""
