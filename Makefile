# Everything a person does here, by verb. `make serve` and `make test` set up what they need:
# an environment of their own in .venv, from the pinned lock files. Nothing else is touched.

VENV := .venv
BIN := $(VENV)/bin
ORACLES := .oracles
PEERS := $(ORACLES)/peers
CLIENTS := .clients
HOST ?= 127.0.0.1
PORT ?= 8000
JOBS ?= 2
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

.PHONY: help setup serve test lint format types browser postgres promtool node r test-oracles test-cluster test-wheels test-clients test-prometheus test-survival \
	fuzz load bench image-test sbom audit licences lock openapi docs clean

help: ## show what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-14s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@scripts/venv.sh $(VENV)

# A stamp per set of packages: made anew when its lock changes, and not otherwise.
$(VENV)/.core: requirements-build.txt requirements.txt pyproject.toml | $(BIN)/python
	@echo "setting up $(VENV) (once)"
	@$(BIN)/python $(PIP_INSTALL) --require-hashes -r requirements-build.txt
	@$(BIN)/python $(PIP_INSTALL) --require-hashes -r requirements.txt
	@$(BIN)/python $(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.txt clients/python/pyproject.toml $(VENV)/.core
	@echo "setting up the tools for the tests in $(VENV) (once)"
	@$(BIN)/python $(PIP_INSTALL) --require-hashes -r requirements-dev.txt
	@$(BIN)/python $(PIP_INSTALL) --no-deps --no-build-isolation --editable clients/python
	@touch $@

setup: $(VENV)/.dev ## set up .venv with everything that the tests need

serve: $(VENV)/.core ## start the service (HOST, PORT)
	$(BIN)/gradient-service serve --host $(HOST) --port $(PORT)

# With CI set a skipped test is a failure: what a test needs must be there then.
test: lint types browser postgres promtool node r ## lint, format check, strict types and the tests
	$(BIN)/python -m pytest -q -n $(JOBS) $(if $(CI),--no-skips)

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

promtool: ## install Prometheus' checker of metrics, likewise
	@scripts/apt-install.sh promtool prometheus

node: ## install Node.js for the JavaScript example, likewise
	@scripts/apt-install.sh node nodejs

r: ## install R for the R example, likewise
	@scripts/apt-install.sh Rscript r-base-core r-cran-httr2 r-cran-jsonlite

# On top of the pinned tools. PyTorch first, by its exact version: a range would bring the build
# for accelerators. These have no lock, because PyTorch's files differ from index to index.
$(ORACLES)/.ready: pyproject.toml requirements-dev.txt
	@echo "setting up $(ORACLES) (once)"
	@[ -x $(ORACLES)/bin/python ] || scripts/venv.sh $(ORACLES)
	@$(ORACLES)/bin/python $(PIP_INSTALL) --require-hashes -r requirements-dev.txt
	@$(ORACLES)/bin/python $(PIP_INSTALL) torch==2.13.0
	@$(ORACLES)/bin/python $(PIP_INSTALL) --editable '.[oracles]' --editable clients/python
	@touch $@

# Clients that don't always go with the service's own versions live in their own environment.
$(PEERS)/.ready: | $(ORACLES)/.ready
	@[ -x $(PEERS)/bin/python ] || scripts/venv.sh $(PEERS)
	@$(PEERS)/bin/python $(PIP_INSTALL) 'tesseract-core[runtime]>=1.15' 'tesseract-jax>=0.2'
	@touch $@

$(ORACLES)/julia/julia:
	@scripts/julia.sh $(ORACLES)/julia

test-oracles: $(ORACLES)/.ready $(PEERS)/.ready $(ORACLES)/julia/julia ## hold the answers to torch, JAX, ONNX and the real clients
	$(ORACLES)/bin/python -m pytest -q -m oracle -W ignore tests

$(VENV)/.cluster: requirements-cluster.txt $(VENV)/.dev
	@$(BIN)/python $(PIP_INSTALL) --require-hashes -r requirements-cluster.txt
	@touch $@

test-cluster: $(VENV)/.cluster ## bulk work over a local Ray cluster
	@scripts/apt-install.sh ip iproute2
	$(BIN)/python -m pytest -q -m cluster -W ignore --timeout 600 $(if $(CI),--no-skips) tests

test-survival: $(VENV)/.cluster ## ten million rows and 3,000 submissions, killed at every turn
	@scripts/apt-install.sh ip iproute2
	unshare --net sh -c 'ip link set lo up && exec $(BIN)/python -m tests.bulk.survival --ray'

test-prometheus: $(VENV)/.dev promtool ## a real Prometheus scrapes two workers for a minute
	GRADIENT_SCRAPE_SECONDS=60 $(BIN)/python -m pytest -q tests/deploy/test_prometheus.py

test-wheels: $(VENV)/.dev ## what is needed installs from wheels alone, on every system and Python
	$(BIN)/python -m pytest -q -m wheels tests/test_wheels.py

# Generators of clients, and linters of documents, in an environment of their own.
$(CLIENTS)/.ready: tests/conformance/clients/requirements.txt tests/conformance/clients/package-lock.json
	@scripts/apt-install.sh npm nodejs npm
	@scripts/apt-install.sh java default-jre-headless
	@[ -x $(CLIENTS)/bin/python ] || scripts/venv.sh $(CLIENTS)
	@$(CLIENTS)/bin/python $(PIP_INSTALL) -r tests/conformance/clients/requirements.txt
	@cp tests/conformance/clients/package.json tests/conformance/clients/package-lock.json $(CLIENTS)
	@npm ci --silent --no-audit --no-fund --ignore-scripts --prefix $(CLIENTS)
	@touch $@

test-clients: $(VENV)/.dev $(CLIENTS)/.ready ## generate, compile and run clients of the OpenAPI document
	$(BIN)/python -m pytest -q -m clients $(if $(CI),--no-skips) tests/conformance

fuzz: $(VENV)/.dev ## long fuzzing of graphs, bodies and expressions
	$(BIN)/python -m pytest -q -m fuzz --timeout 900 tests

mutations: $(VENV)/.dev ## 40,000 changed requests to every POST path
	$(BIN)/python -m tests.fuzz.mutations 40000

cost-audit: $(VENV)/.dev ## every operator and endpoint: time and memory against what was declared
	$(BIN)/python -m tests.benchmarks.cost_audit

load: $(VENV)/.dev ## ten minutes at saturation on loopback
	$(BIN)/python -m pytest -q -s -m soak --timeout 1200 tests/load

bench: $(VENV)/.dev ## ratios against the references, each in a process of its own
	@scripts/apt-install.sh wrk wrk
	$(BIN)/python -m tests.benchmarks

image-test: ## build the image without an engine, run it, ask it for a gradient
	scripts/image-test.sh

docs: $(VENV)/.core ## write the pages of docs/ that are made from the code
	$(BIN)/python scripts/docs.py
	$(BIN)/gradient-service operators --markdown > docs/operators.md

openapi: $(VENV)/.core ## write openapi/openapi.json
	$(BIN)/gradient-service openapi > openapi/openapi.json

lock: ## pin all dependencies with hashes
	scripts/lock.sh

sbom: ## write the software bill of materials
	scripts/sbom.sh

.PHONY: digits
digits: $(VENV)/.dev ## a table of each operator's worst errors, in units in the last place
	$(BIN)/python -m scripts.worst_errors

audit: $(VENV)/.dev ## look the pinned dependencies up in the advisory database (or ADVISORIES=FOLDER)
	scripts/audit.sh

licences: $(VENV)/.core ## write licences.txt
	$(BIN)/python scripts/licences.py > licences.txt

clean: ## remove what the targets made
	rm -rf $(VENV) $(ORACLES) .bench build
