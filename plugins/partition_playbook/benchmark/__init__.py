"""Measure the queries of the spec: their ranges, plans and times."""
