# Everything runs in $(VENV), which is made on first use and renewed when pyproject.toml or constraints.txt change.
PYTHON ?= python3
VENV ?= .venv
BENCH_ARGS ?= --models gnn,tf
PYTEST_ARGS ?=
SITE_ARGS ?=

# Modules that were compiled once are kept, whatever the environment says: without, every process of the tests rewrites
# the assertions of all of them, a quarter of the time that collecting them takes.
unexport PYTHONDONTWRITEBYTECODE

PY := $(VENV)/bin/python
PIP_INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt
RUN_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
SITE_STAMP := $(VENV)/.installed-docs
SCATTER := $(VENV)/torch-scatter
DOCS := $(wildcard README.md CHANGELOG.md CONTRIBUTING.md docs)

.DELETE_ON_ERROR:
.PHONY: help bench test test-scatter lint types imports pages docs site check dist clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

bench: $(RUN_STAMP) ## Compare gnn with tf on the PBMC cells that scanpy carries; leaves a results folder
	$(VENV)/bin/scgraph bench --set max_steps=250 $(BENCH_ARGS)

test: $(DEV_STAMP) ## Run the tests, one process a core (PYTEST_ARGS adds options)
	$(PY) -m pytest -n auto --dist worksteal $(PYTEST_ARGS)

test-scatter: $(DEV_STAMP) ## Run the edge-path tests with torch-scatter (compiles it once, five minutes on two cores)
	bash scripts/ci-scatter.sh $(PY) $(SCATTER)
	PYTHONPATH=$(abspath $(SCATTER)) $(PY) -m pytest -m "not scatter" tests/nn $(PYTEST_ARGS)
	PYTHONPATH=$(abspath $(SCATTER)) $(PY) -m pytest -m scatter $(PYTEST_ARGS)

lint: $(DEV_STAMP) ## Check the style with ruff
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: $(DEV_STAMP) ## Check the types with mypy, strict
	$(PY) -m mypy

imports: $(DEV_STAMP) ## Check that imports run one way
	$(VENV)/bin/lint-imports --no-cache --no-logo

pages: $(DEV_STAMP) ## Renew the generated blocks of README.md and docs/ from the results, the registry and the contract
	$(PY) -m docs.make

docs: $(DEV_STAMP) ## Check the links of the documents and run every example in them
	$(PY) -m pytest --doctest-modules --doctest-glob='*.md' tests/test_docs.py tests/docs scgraph $(DOCS)

site: $(SITE_STAMP) ## Build the documentation into build/site/html, tutorials run (SITE_ARGS=--skip-tutorials: not)
	$(PY) -m docs.site $(SITE_ARGS)

check: lint types imports docs test ## All checks but the one with torch-scatter and the site

dist: $(RUN_STAMP) ## Build the wheel and the source archive into dist/
	rm -rf dist
	$(VENV)/bin/hatchling build

clean: ## Remove the environment, caches and built packages (results and cached wheels stay)
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis lightning_logs
	find scgraph tests benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# The build backend comes from constraints.txt too, hence no isolated (and unpinned) build environment.
$(RUN_STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "scgraph needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	@test -x $(VENV)/bin/pip || { rm -rf $(VENV); $(PYTHON) -m venv $(VENV); } \
		|| { rm -rf $(VENV); echo "no venv module: on Debian or Ubuntu, apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing into $(VENV); the first time takes a few minutes."
	@$(PIP_INSTALL) hatchling
	@$(PIP_INSTALL) --no-build-isolation -e .
	@touch $@

$(DEV_STAMP): $(RUN_STAMP)
	@echo "Installing what the tests need."
	@$(PIP_INSTALL) --no-build-isolation -e '.[dev]'
	@touch $@

$(SITE_STAMP): $(RUN_STAMP)
	@echo "Installing what the documentation is built with."
	@$(PIP_INSTALL) --no-build-isolation -e '.[docs]'
	@touch $@
