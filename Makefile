# Needs python3 (3.11 or newer), make and a package index; nothing else. `make` alone says what there is.
.DEFAULT_GOAL := help
SHELL := /bin/sh

PYTHON ?= python3
# of the tests; about twice the cores, as much of a test is waiting
WORKERS ?= 4
BIN := .venv/bin
# with uv, or with pip
INSTALL := $(BIN)/python ci/install.py
NEEDS := pyproject.toml constraints.txt
# the distribution had another name: both at once would own one command
WITHOUT_OLD_NAME := $(BIN)/python -m pip uninstall --quiet --yes windlass 2>/dev/null || true
# set in many images; without what is compiled being kept, every process compiles it all again
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo demo-cutover airflow airflow-celery airflow-stop test test-unit test-all test-django check \
        format docs docs-serve release bench system-packages clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

demo: .venv/.for-demo ## Migrate a sample shop between two servers, and watch
	@$(BIN)/windlass demo

demo-cutover: .venv/.for-demo ## Move a ledger while clients write to it; forth, back and forth
	@$(BIN)/windlass demo --cutover

airflow: .venv/.for-airflow ## Bring up an Airflow with the DAGs and a sample shop to migrate
	@$(BIN)/python -m demo.airflow start

airflow-celery: .venv/.for-celery ## The same with two Celery workers, and Redis over TLS
	@$(BIN)/python -m demo.airflow start --workers 2

airflow-stop: ## End all of it; a later `make airflow` continues from there
	@if [ -e .venv/.for-airflow ]; then $(BIN)/python -m demo.airflow stop; fi

test: .venv/.for-dev ## Run the tests, on real servers
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-unit: .venv/.for-dev ## Run the tests that need no server
	@$(BIN)/python -m pytest -q -n 2 tests/unit

test-all: .venv/.for-dev ## Run all of them: every pair of versions, every kind of change
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "full or not full"

test-django: ## Run Django's tests with the newest Django: make test-django PYTHON=python3.12
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null || { \
	  echo "$(PYTHON) is not a Python 3.12 or newer, which the newest Django needs:" \
	    "make test-django PYTHON=/path/to/python3.12" >&2; exit 2; }
	@$(PYTHON) -m venv .venv-django
	@.venv-django/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
	  -e '.[demo,django,dev,export,load]' redis flower
	@.venv-django/bin/python -m pytest -q -m "full or not full" tests/django

check: .venv/.for-dev ## Lint, format, types, the floors of the house, and licences
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m pytest -q --no-header tests/unit/test_licences.py

format: .venv/.for-dev ## Let ruff put the code into shape
	@$(BIN)/ruff check --fix --quiet
	@$(BIN)/ruff format

docs: .venv/.for-docs ## Build the documentation site into site/, and check its links
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@$(BIN)/python ci/docs_links.py site

docs-serve: .venv/.for-docs ## Show the documentation site while you write
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

release: .venv/.for-dev ## Build wheel and sdist into dist/, and check them in clean environments
	@$(BIN)/python ci/release.py

bench: .venv/.for-dev ## Measure against pgcopydb, pg_dump and earlier methods, and what Airflow adds
	-@$(BIN)/python -m bench run
	@$(BIN)/python -m bench render

system-packages: ## Debian, as root: PostgreSQL 15, PgBouncer, Redis, Prometheus, npm and pgcopydb, for more tests and the bench
	@ci/system-packages

clean: ## Remove the virtual environment and everything made from the sources
	rm -rf .venv build dist site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: a second run is instant until the needs change.
.venv/.for-demo: $(NEEDS) | .venv/bin/python
	@echo "installing windlass into .venv; with the servers and the sample shop, the first time takes about a minute"
	@$(WITHOUT_OLD_NAME)
	@$(INSTALL) -c constraints.txt -e '.[demo]'
	@touch $@

.venv/.for-airflow: $(NEEDS) | .venv/bin/python
	@echo "installing windlass and Airflow into .venv"
	@$(WITHOUT_OLD_NAME)
	@$(INSTALL) -c constraints.txt -e '.[airflow,demo]'
	@touch $@

.venv/.for-celery: $(NEEDS) | .venv/.for-airflow
	@echo "installing what Celery needs into .venv"
	@$(INSTALL) -c constraints.txt -e '.[airflow,celery,demo]'
	@touch $@

.venv/.for-docs: $(NEEDS) | .venv/bin/python
	@echo "installing windlass and what builds its site into .venv"
	@$(WITHOUT_OLD_NAME)
	@$(INSTALL) -c constraints.txt -e '.[docs]'
	@touch $@

# fakesnow needs another sqlglot: it is in a folder that only the tests' server looks into
FAKESNOW := tests/support/fakes/fakesnow.txt

.venv/fakesnow: $(FAKESNOW) | .venv/bin/python
	@rm -rf $@
	@$(INSTALL) --no-deps --target $@ -r $<
	@touch $@

.venv/.for-dev: $(NEEDS) .venv/fakesnow | .venv/bin/python
	@echo "installing windlass and its tools into .venv"
	@$(WITHOUT_OLD_NAME)
	@$(INSTALL) -c constraints.txt -e '.[airflow,bigquery,celery,demo,django,docs,duckdb,export,frames,iceberg,load,mongodb,mysql,odbc,openlineage,snowflake,sqlite,web,dev]'
	@$(BIN)/python tests/support/npm_servers.py
	@touch $@ .venv/.for-demo .venv/.for-airflow .venv/.for-celery .venv/.for-docs

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "windlass needs Python 3.11 or newer, $(PYTHON) is not; try: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments; on Debian or Ubuntu: apt install python3-venv"; \
	  exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }
