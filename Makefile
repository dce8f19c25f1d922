# The one task runner; CI calls the same targets. `make demo` and `make test` do all they need from a fresh checkout.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup demo test check bench packages clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

setup: $(READY) ## a virtual environment with everything, in .venv

$(READY): requirements-dev.txt pyproject.toml
	@.ci/venv "$(PYTHON)" "$(VENV)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

packages: ## what the tests need from the system: mosquitto, strace, mkfs.ext4
	@.ci/packages mosquitto strace e2fsprogs

demo: $(READY) ## the main job on one machine: simulated robot, broker, daemon, an outage
	$(BIN)/edgetwin demo

test: $(READY) packages ## all tests
	$(BIN)/python -m pytest

check: $(READY) ## style, types, architecture; seconds
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@! git grep -nE 'https?://' -- '*requirements*.txt' || (echo "requirements name a host: compile them with --no-emit-index-url"; exit 1)

bench: $(READY) packages ## edgetwin beside the tutorial's way, in one run, as ratios
	$(BIN)/python -m bench

requirements: ## pin the dependencies anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url pyproject.toml -o requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --extra ros --extra demo --extra train --extra dev pyproject.toml -o requirements-dev.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --extra ros --extra service pyproject.toml -o requirements-deb.txt

clean: ## remove what was made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
