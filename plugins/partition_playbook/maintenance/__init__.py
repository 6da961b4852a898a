"""The lifecycle engine: what a partitioned table needs as time goes by, planned, then applied; no Airflow.

``observe`` reads catalog and ledger, ``plan`` decides, ``apply`` does it with ``create`` and ``retire``; ``upkeep`` is
all of it for one table.
"""
