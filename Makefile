PYTHON ?= python3
ROWS ?=
WRITERS ?= 2
APPROVALS ?= auto

.DEFAULT_GOAL := help
.PHONY: help demo up down test test-servers soak check bench screenshots lock clean
VENV := .venv
LOCKED := $(VENV)/.locked
RUN := $(VENV)/bin/python -m

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(LOCKED) ## Migrate ROWS=1000000 live rows with WRITERS=2, prove it, roll it back, and say go or no-go
	$(RUN) staging.demo --rows $(or $(ROWS),1000000) --writers $(WRITERS) --approvals $(APPROVALS)

up: $(LOCKED) ## Start Airflow and PostgreSQL and leave them running
	$(RUN) staging up

down: ## Stop Airflow and PostgreSQL, also after a crash; the data stays in .staging
	@if [ -e $(LOCKED) ]; then $(RUN) staging down; else echo "Nothing to stop: $(VENV) is not there."; fi

test: $(LOCKED) ## Run the tests, one process a core, each with a server of its own
	@$(RUN) staging.browser
	$(RUN) pytest -n auto --dist worksteal

test-servers: $(LOCKED) ## Run the engine's tests on PostgreSQL 14-18, or on those in SERVERS="15 17"; TESTS= names some
	$(RUN) staging.servers $(SERVERS) $(TESTS)

soak: $(LOCKED) ## Make up tables and histories of writes for half an hour, then strike the steps for MINUTES=10; SEED= again
	$(RUN) pytest --hypothesis-profile soak $(if $(SEED),--hypothesis-seed $(SEED)) tests/sql/test_properties.py
	$(RUN) tests.faults.soak --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

check: $(LOCKED) ## Lint, check the format and the types
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy

bench: $(LOCKED) ## Measure with ROWS=10000000: the literal way, ours, and the limit
	$(RUN) staging.bench --rows $(or $(ROWS),10000000)

screenshots: $(LOCKED) ## Take the pictures of docs/ from the last rehearsal of `make demo`
	@$(RUN) staging.browser
	$(RUN) staging.screenshots

lock: $(LOCKED) ## Resolve requirements*.txt into constraints.txt again
	$(VENV)/bin/pip install --quiet uv
	@{ sed -n '/^#/p' constraints.txt; $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 \
	  --no-header --no-annotate requirements-dev.txt; } > constraints.new && mv constraints.new constraints.txt

clean: down ## Stop everything and delete the staging state and the virtual environment
	rm -rf .staging $(VENV)

$(LOCKED): requirements.txt requirements-dev.txt constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("Python 3.11-3.13 is needed, but $(PYTHON) is %d.%d. Name another: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt
	@touch $@
