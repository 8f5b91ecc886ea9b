# Everything a person does here, by verb. `make serve` and `make test` set up what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ORACLES := .oracles
HOST ?= 127.0.0.1
PORT ?= 8000

.PHONY: help serve test lint format types check-python browser postgres test-oracles test-cluster \
	fuzz load bench image-test sbom audit licences lock openapi clean

help: ## show what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

check-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; set PYTHON=python3.12, say" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "Python's venv module is missing: apt-get install python3-venv" >&2; exit 1; }

$(BIN)/python: | check-python
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: requirements.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.core
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

serve: $(VENV)/.core ## start the service (HOST, PORT)
	$(BIN)/gradient-service serve --host $(HOST) --port $(PORT)

test: lint types browser postgres ## lint, format check, strict types and the tests
	$(BIN)/python -m pytest -q

lint: $(VENV)/.dev ## lint and format check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev ## rewrite the code in the one format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev ## strict types
	$(BIN)/mypy

browser: ## install Chromium for the browser tests, where Debian's packages can be installed
	@scripts/apt-install.sh chromium chromium

postgres: ## install PostgreSQL for the store's tests, likewise
	@scripts/apt-install.sh postgresql postgresql

$(ORACLES)/.ready: pyproject.toml
	$(PYTHON) -m venv $(ORACLES)
	$(ORACLES)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(ORACLES)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,oracles]'
	@touch $@

test-oracles: $(ORACLES)/.ready ## hold the answers to torch, JAX, ONNX and the real clients
	$(ORACLES)/bin/python -m pytest -q -m oracle -W ignore tests

test-cluster: $(VENV)/.dev ## bulk work over a local Ray cluster
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[cluster]'
	$(BIN)/python -m pytest -q -m cluster -W ignore tests/bulk

fuzz: $(VENV)/.dev ## long fuzzing of graphs, bodies and expressions
	$(BIN)/python -m pytest -q -m fuzz --timeout 900 tests

load: $(VENV)/.dev ## ten minutes at saturation on loopback
	$(BIN)/python -m pytest -q -s -m soak --timeout 1200 tests/load

bench: $(VENV)/.dev ## ratios against the references, each in a process of its own
	$(BIN)/python -m tests.benchmarks

image-test: ## build the image without an engine, run it, ask it for a gradient
	scripts/image-test.sh

openapi: $(VENV)/.core ## write openapi/openapi.json
	$(BIN)/gradient-service openapi > openapi/openapi.json

lock: | $(BIN)/python ## pin all dependencies with hashes
	scripts/lock.sh

sbom: $(VENV)/.core ## write the software bill of materials
	scripts/sbom.sh

audit: $(VENV)/.dev ## look the pinned dependencies up in the advisory database
	scripts/audit.sh

licences: $(VENV)/.core ## write licences.txt
	$(BIN)/python scripts/licences.py > licences.txt

clean: ## remove what the targets made
	rm -rf $(VENV) $(ORACLES) build
