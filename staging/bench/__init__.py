"""Benchmark three copies of the same data in one run: the playbook's batches, this engine, and a plain copy."""
