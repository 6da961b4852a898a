"""The evidence that a verdict rests on, one module a section of the playbook. No Airflow.

Each module looks, measures and returns checks: ``preflight``, ``data_preparation`` and ``snapshot`` before the
migration, ``validation``, ``pruning``, ``application`` and ``decision`` after it. ``report`` composes what all of them
found, and ``page`` and ``charts`` show it.
"""
