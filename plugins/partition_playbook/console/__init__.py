"""The console: a read-only view of every table and run, inside Airflow's UI."""
