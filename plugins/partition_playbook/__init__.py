"""Convert a live PostgreSQL table into a range-partitioned one, as an audited playbook.

The map, from the bottom up. A module imports only from its own floor and from the floors above it in this list.

Values, without a database and without Airflow
    ``choices``, ``errors``, ``figures``, ``names``, ``intervals``, ``runway``, ``checks``, ``people``, ``markdown``,
    ``object_store``, ``artifacts``. ``codecs`` reads partition columns that are no timestamps. ``resources`` finds the
    files beside the code, and ``provider`` tells Airflow of the package.
    ``spec`` is built on them: table specs, params, and their files.
One door to PostgreSQL
    ``sql``, ``encoding``, ``login``, ``database``, ``lock_retry`` and ``disk``, then ``catalog``, ``parity``,
    ``metrics`` and ``ledger``, and ``run``, given to every step.
    ``gates`` are the facts of the ledger that permit one.
``engine``
    The protocol: shadow, capture, load, reconcile, verify, swap, and the way back. A plain script can drive it.
``benchmark``, ``workload``, ``maintenance``
    Queries of the spec, statements of the application, partitions ahead and retention.
``sections``
    One folder per section of the playbook: its checks, and ``tasks.py`` as its task group.
``airflow``
    The glue: tasks, runs, the trigger form, links, approvals, notifications.
``standalone``, ``console``
    The tasks of the DAGs beside the playbook, and the read-only page in the Airflow UI.
``shell``, ``cli``
    The console script ``partition-playbook`` and its answers. To validate table specs it does not need Airflow.
"""

__version__ = "0.2.0.dev0"
