"""The console: a read-only view of all tables and runs, inside Airflow's UI."""
