"""Section 2: synthetic rows for a rehearsal."""
