"""Maintenance of a partitioned table: read its state, plan, apply, check the result. No Airflow.

``maintain`` runs all of it for one table. ``read_state`` reads catalog and ledger, ``plan`` is a pure function, and
``apply`` changes the table with ``create``, ``split``, ``retire`` and ``archive``.
"""
