"""The staging environment: one PostgreSQL, one Airflow, live writers; no Docker and no installed server.

environment  all of it for this checkout: `python -m staging up` and `down`
cluster      the embedded PostgreSQL server: start, find, stop, or a throw-away one for tests
instance     Airflow in the background; airflow_local_settings is copied into its home
browser      a headless Chromium, logged in to it
rest         a client for its REST API
writers      an application that writes all the time; writer is one of its processes
record       what it committed, and how a table differs from that
demo         `make demo`: a rehearsal from an empty folder to a verdict
screenshots  `make screenshots`: the pictures in docs/, from the last rehearsal
schema.sql   the worked tables: units, devices, sensor_readings
"""

import sys
from pathlib import Path

# Airflow finds the package in its plugins folder; everything here finds it in the same place.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugins"))
