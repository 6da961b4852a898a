"""The glue to Airflow: tasks, runs, trigger forms, links, approvals, notifications."""
