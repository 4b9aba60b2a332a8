# The few commands that people type. CI runs .ci/run.
PYTHON := .venv/bin/python

.PHONY: setup test lint format bench ci

setup:
	python3 -m venv .venv
	$(PYTHON) -m pip install --quiet --editable '.[test]'

test:
	$(PYTHON) -m pytest -n auto
	$(PYTHON) -m pytest -n auto --ledger postgres
	$(PYTHON) -m pytest -n auto --ledger pgbouncer

lint:
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

format:
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

bench:
	$(PYTHON) -m bench

ci:
	.ci/run
