"""Section 11: criteria, report and verdict."""
