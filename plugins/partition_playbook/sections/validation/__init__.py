"""Section 5: rows, partitions, indexes and keys after the cutover."""
