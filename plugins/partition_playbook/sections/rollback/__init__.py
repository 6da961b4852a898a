"""Section 10: the timed rollback."""
