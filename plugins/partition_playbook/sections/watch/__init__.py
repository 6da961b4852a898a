"""Section 9: watch for errors after the cutover, by default for two hours in production."""
