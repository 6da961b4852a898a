"""The staging environment: one PostgreSQL, one Airflow, live writers; no Docker and no installed server.

cluster     the embedded PostgreSQL server: start, find, stop, or a throw-away one for tests
instance    Airflow in the background, and a client for its REST API
schema.sql  the worked tables: units, devices, sensor_readings
writers     an application that writes all the time and keeps its own record of what it committed
"""
