"""Section 1: the pre-migration checklist."""
