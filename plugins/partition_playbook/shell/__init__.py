"""The answers of the console script ``partition-playbook``; ``answer`` and ``specs`` work without Airflow."""
