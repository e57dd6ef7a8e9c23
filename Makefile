# Every target makes its own .venv; nothing needs to be activated.
PYTHON ?= python3
BIN := .venv/bin
PYTEST_ARGS ?= -n 2 --dist worksteal
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 12

setup: .venv/ready ## make .venv with everything the product and its tests need

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "signalbox needs Python 3.11 or newer: set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || { echo "signalbox needs Python's venv module (on Debian: apt-get install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[server,embedded,test,dev]'
	@touch $@

up: setup ## run the whole product on embedded defaults until Ctrl-C
	@$(BIN)/signalbox up $(UP_ARGS)

js: ## the published JavaScript clients that the tests drive, where there is npm
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory tests/js/node_modules/ready; \
	else echo "no npm: the tests of the JavaScript clients will be skipped (install Node 18 or newer)" >&2; fi

tests/js/node_modules/ready: tests/js/package.json
	cd tests/js && npm install --no-package-lock --no-audit --no-fund --loglevel=error
	@touch $@

flagd: .venv-flagd/v2/ready .venv-flagd/v3/ready ## flagd's published in-process providers, which the tests compare with

.venv-flagd/%/ready: tests/flagd/%.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

test: setup js flagd ## run the tests
	$(BIN)/pytest -m 'not soak' $(PYTEST_ARGS)

check: setup ## linters, types, import contracts, shell scripts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck scripts/*.sh .ci/run

coverage: setup js flagd ## the tests with a coverage report
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -m 'not soak'
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

bench: setup ## every benchmark, each figure beside its target
	@$(MAKE) --no-print-directory .venv-bench/ready || echo "the peers can't be installed: they are not measured" >&2
	@status=0; for script in evaluate propagate messages; do $(BIN)/python benchmarks/$$script.py || status=1; done; exit $$status

.venv-bench/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@touch $@

soak: setup ## the long runs that CI only samples
	$(BIN)/pytest -m soak -n 0 --timeout 7200

.PHONY: help setup up js flagd test check coverage bench soak
