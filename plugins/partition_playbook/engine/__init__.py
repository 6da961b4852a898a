"""The engine of a migration: build the shadow, capture, load, reconcile, verify, swap, and roll back.

Nothing here imports Airflow. Every function reads the state from the catalog and the ledger, and may be called twice.
"""

from partition_playbook.engine import (
    attach,
    cutover,
    doubled,
    finalize,
    load,
    load_groups,
    own_readers,
    pace,
    plan,
    reconcile,
    rollback,
    shadow,
    throttle,
    vacuum,
    verify,
    way_back,
)

__all__ = [
    "attach",
    "cutover",
    "doubled",
    "finalize",
    "load",
    "load_groups",
    "own_readers",
    "pace",
    "plan",
    "reconcile",
    "rollback",
    "shadow",
    "throttle",
    "vacuum",
    "verify",
    "way_back",
]
