"""Section 8: one run of partition_maintenance."""
