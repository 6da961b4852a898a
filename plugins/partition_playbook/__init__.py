"""Convert a live PostgreSQL table into a range-partitioned one, as an audited playbook.

The map, from the bottom up; imports only point upwards in this list:

``errors``, ``intervals``, ``names``, ``checks``, ``spec``
    Values: no database, no Airflow.
``sql``, ``database``, ``catalog``, ``ledger``
    The one door to ``include/sql``, connections with limits, what PostgreSQL says of a table, the audit.
``migration``, ``maintenance``
    The engines. A script or a test can drive them without Airflow.
``operators``, ``notifications``, ``approvals``, ``sections``
    Airflow: tasks, who is told, where a person decides; one module of ``sections`` is one section of the playbook and
    one task group of that name.
``console``
    What people see of all this in Airflow's UI; it only reads.
"""
