"""Section 3: backup, statistics and the benchmark before the migration."""
