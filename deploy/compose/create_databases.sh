#!/usr/bin/env bash
# Create Airflow's database, and the application's with its role and the playbook's. Runs once, in an empty volume.
set -euo pipefail
secrets=${PLAYBOOK_SECRETS_FOLDER:-/run/playbook}
deploy=${PLAYBOOK_DEPLOY_FOLDER:-/deploy}

psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname=postgres \
  --set=airflow_password="$(cat "$secrets/airflow_password")" \
  --set=playbook_password="$(cat "$secrets/playbook_password")" \
  --set=schema="$deploy/schema.sql" \
  --file="$deploy/databases.sql"
