"""Measure, side by side in one run on the same data: the literal way, ours, and the limit."""
