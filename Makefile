PYTHON ?= python3
ROWS ?=
WRITERS ?= 2
APPROVALS ?= auto
APP ?=
KEY ?=
INTERVAL ?=

# Many containers set it. Each task of an Airflow is a new process, and would compile the whole package.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo application up down test-unit test test-application test-distributed test-servers test-airflows resolve-extras soak check bench screenshots reference monitoring lock clean
VENV := .venv
LOCKED := $(VENV)/.locked
RUN := $(VENV)/bin/python -m
COMPILE := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --no-annotate --custom-compile-command "make lock"

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(LOCKED) $(if $(filter 1,$(APP)),application) ## Rehearse ROWS=1000000 rows under WRITERS=2, rollback included; APP=1 with the application, KEY=uuidv7 with such an id, INTERVAL=hour with such partitions; ends with GO or NO-GO
	$(RUN) staging.demo --rows $(or $(ROWS),1000000) --writers $(WRITERS) --approvals $(APPROVALS) $(if $(filter 1,$(APP)),--application) $(if $(KEY),--key $(KEY)) $(if $(INTERVAL),--interval "$(INTERVAL)")

application: $(LOCKED) ## Install the application of staging/application: Node.js, Redis, a browser, its packages
	@$(RUN) staging.browser
	@$(RUN) staging.node
	@$(RUN) staging.redis
	@$(RUN) staging.backend.install

up: $(LOCKED) ## Start PostgreSQL and Airflow and print the address and the login
	$(RUN) staging up

down: ## Stop Airflow and PostgreSQL, also after a crash; the data stays in .staging
	@if [ -e $(LOCKED) ]; then $(RUN) staging down; else echo "Nothing to stop: there is no $(VENV)."; fi

test-unit: $(LOCKED) ## Run the unit tests: 20 seconds, without a database or Airflow
	$(RUN) pytest tests/unit

test: $(LOCKED) ## Run all tests, in one process more than cores, each with its own PostgreSQL server
	@$(RUN) staging.browser
	@$(RUN) staging.pooler
	@$(RUN) staging.prometheus
	$(RUN) pytest -n auto --dist worksteal

test-application: application ## Test the application and its users, over swaps too; `make test` leaves them out
	$(RUN) pytest tests/application

test-distributed: $(LOCKED) ## Test services and workers on hosts in namespaces, as root on Linux; `make test` leaves them out
	@$(RUN) tests.distributed.install
	$(RUN) pytest tests/distributed

test-servers: $(LOCKED) ## Run the engine tests on PostgreSQL 14-18; SERVERS="15 17" and TESTS="paths" select
	@$(RUN) staging.pooler
	$(RUN) staging.servers $(SERVERS) $(TESTS)

test-airflows: $(LOCKED) ## Test Airflow's newest release and newest pre-release, each in an environment of its own; VERSIONS= selects
	$(RUN) tests.airflows $(VERSIONS)

resolve-extras: $(LOCKED) ## Resolve each extra against constraints.txt and try an S3 server; asks the package index
	$(RUN) pytest tests/extras

soak: $(LOCKED) ## Test random tables and writes for half an hour, then crash random steps for MINUTES=10; SEED= repeats
	$(RUN) pytest --hypothesis-profile soak $(if $(SEED),--hypothesis-seed $(SEED)) tests/integration/test_properties.py
	$(RUN) tests.faults.soak --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

check: $(LOCKED) ## Run ruff (lint and format) and mypy
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy

bench: $(LOCKED) ## Benchmark with ROWS=10000000 and INTERVALS=day: the playbook's batches, this engine, a plain copy, pg_partman
	$(RUN) staging.bench --rows $(or $(ROWS),10000000) --intervals $(or $(INTERVALS),day)

screenshots: $(LOCKED) ## Take the screenshots in docs/ from the last `make demo`
	@$(RUN) staging.browser
	$(RUN) staging.screenshots

reference: $(LOCKED) ## Write docs/table-spec.md and the JSON schema from the descriptions of the spec's keys
	$(RUN) staging.reference
	$(RUN) staging.table_schema

monitoring: $(LOCKED) ## Write the dashboard and the exporters' queries in monitoring/ from code
	$(RUN) staging.monitoring

lock: $(LOCKED) ## Resolve pyproject.toml into requirements.txt and constraints.txt; UPGRADE="--upgrade-package rich" raises one
	$(COMPILE) $(UPGRADE) --no-deps --no-strip-extras --output-file requirements.txt pyproject.toml
	$(COMPILE) $(UPGRADE) --all-extras --output-file constraints.txt pyproject.toml requirements-dev.txt tests/extras/requirements.txt

clean: down ## Stop everything and delete the staging state and the virtual environment
	@data=$$(readlink .staging/postgres); case "$$data" in /var/lib/partition-playbook/*/data) rm -rf "$${data%/data}";; esac
	rm -rf .staging $(VENV) staging/application/node_modules staging/application/dist

$(LOCKED): requirements.txt requirements-dev.txt constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("Python 3.11-3.13 is needed, but $(PYTHON) is %d.%d. Set another one: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt
	@touch $@
