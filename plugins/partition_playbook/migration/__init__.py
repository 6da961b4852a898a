"""The engine: build the shadow, capture, load, reconcile, verify, swap, and all of it backwards.

Nothing here knows Airflow. Every function reads from the catalog and the ledger where it stands, and may be called
twice.
"""
