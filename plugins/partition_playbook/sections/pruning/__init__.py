"""Section 6: plans and timings of the spec's queries."""
