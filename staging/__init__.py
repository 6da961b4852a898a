"""The staging environment: one PostgreSQL, one Airflow, live writers; without Docker or an installed server.

environment  PostgreSQL and Airflow of this checkout: `python -m staging up` and `down`
cluster      the embedded PostgreSQL server: start, find, stop; temporary servers for tests
guard        ends a temporary server whose process was killed
instance     Airflow in the background; airflow_local_settings is copied into its home
browser      a headless Chromium, logged in to Airflow
rest         a client for Airflow's REST API
writers      an application that writes continuously; writer is one of its processes
record       the writers' commits, compared with a table
keys         the keys of the worked table: an identity, or ids that carry time
demo         `make demo`: a rehearsal from an empty database to a verdict
screenshots  `make screenshots`: the pictures in docs/, from the last rehearsal
reference    `make reference`: docs/table-spec.md, from the descriptions of the models
schema.sql   the worked tables: units, devices, sensor_readings; schema_of_keys.sql gives it an id that carries time
"""

import sys
from pathlib import Path

# The package is in the plugins folder of Airflow, so it has no installed copy.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugins"))
