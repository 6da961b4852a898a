"""Section 4: the shadow, the loads and the cutover."""
