"""The tasks of the DAGs maintenance, rollback and finalize. Wiring only."""
