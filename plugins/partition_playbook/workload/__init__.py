"""Read the statements of the application and plan them on the partitioned table."""
