"""Section 7: the spec's SQL and HTTP probes."""
