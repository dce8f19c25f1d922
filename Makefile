# The one task runner; CI calls the same targets. `make demo` and `make test` do all they need from a fresh checkout.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
FOR_DEB := build-essential debhelper libpython3-dev libsystemd-dev pkg-config python3 python3-venv
FOR_SYSTEM := $(FOR_DEB) systemd systemd-container mmdebstrap lintian groff-base

.PHONY: help setup demo test check gate pages deb system bench packages clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

setup: $(READY) ## a virtual environment with everything, in .venv

$(READY): requirements-dev.txt pyproject.toml
	@.ci/venv "$(PYTHON)" "$(VENV)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

packages: ## what the tests need from the system: mosquitto, strace, mkfs.ext4; under CI also what `make system` needs
	@.ci/packages mosquitto strace e2fsprogs
	@[ -z "$(CI)" ] || PYTHON=/usr/bin/python3 .ci/packages $(FOR_SYSTEM)

demo: $(READY) ## the main job on one machine: simulated robot, broker, daemon, an outage
	$(BIN)/edgetwin demo

test: $(READY) packages ## all tests
	$(BIN)/python -m pytest

check: $(READY) ## style, types, architecture; seconds
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@[ -z "$(CI)" ] || .ci/packages systemd
	@! command -v systemd-analyze >/dev/null || systemd-analyze security --offline=true --no-pager --threshold=15 systemd/edgetwin.service >/dev/null || (echo "systemd/edgetwin.service: exposure above 1.5; see systemd-analyze security --offline=true"; exit 1)
	@! git grep -nE 'https?://' -- '*requirements*.txt' || (echo "requirements name a host: compile them with --no-emit-index-url"; exit 1)

gate: $(READY) ## the gate and admission: every branch run, every mutant killed, three lines of tests per line; minutes
	$(BIN)/python -m coverage run -m pytest -q -p tests.gate.for_mutants tests/gate tests/command
	$(BIN)/python -m coverage report
	$(BIN)/python -m tests.gate.rigor lines
	rm -rf mutants && mkdir mutants
	PATH="$(CURDIR)/$(BIN):$$PATH" mutmut run >mutants/run.log 2>&1 || (tr '\r' '\n' <mutants/run.log | tail -n 40; exit 1)
	$(BIN)/python -m tests.gate.rigor mutants

pages: $(READY) ## render the tables of docs/gate.md from the code
	$(BIN)/python -m tests.gate.page

deb: $(READY) ## the Debian package, into build/ (about a minute)
	@PYTHON=/usr/bin/python3 .ci/packages $(FOR_DEB)
	@.ci/deb $(VENV)

system: $(READY) packages ## the package on machines with a real systemd; needs root, minutes
	@PYTHON=/usr/bin/python3 .ci/packages $(FOR_SYSTEM)
	$(BIN)/python -m pytest tests/system

bench: $(READY) packages ## edgetwin beside the tutorial's way, in one run, as ratios
	$(BIN)/python -m bench

requirements: ## pin the dependencies anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url pyproject.toml -o requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --extra ros --extra demo --extra train --extra dev pyproject.toml -o requirements-dev.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --extra ros --extra service pyproject.toml -o requirements-deb.txt

clean: ## remove what was made
	rm -rf $(VENV) build dist mutants .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis
