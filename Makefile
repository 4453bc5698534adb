# Every target does its own set-up: a virtual environment in .venv with the pinned requirements.
# `make help` lists the targets.

SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
BIN := .venv/bin
RUN := $(BIN)/python
STUBS := $(wildcard proto/jobrec/*/v1/*.proto)

export PYTHONUNBUFFERED := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Set in many images, where each process would compile all that it imports, torch included, once more.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help:  ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Not that of the environment, where LANGUAGE is a setting of gettext.
SAMPLE_LANGUAGE = $(if $(filter command,$(origin LANGUAGE)),$(LANGUAGE))
FOR_LANGUAGE = $(if $(filter ko,$(SAMPLE_LANGUAGE)),.venv/multilingual)

.PHONY: run
run: .venv/local $(FOR_LANGUAGE)  ## Everything on embedded servers, with a sample corpus; stays up until Ctrl-C; LANGUAGE=ko for Korean
	@$(RUN) -m jobrec_site.local run $(addprefix --language=,$(SAMPLE_LANGUAGE))

.PHONY: demo
demo: .venv/local $(FOR_LANGUAGE)  ## The same main job on a throw-away database: prints recommendations and ends
	@$(RUN) -m jobrec_site.local demo $(addprefix --language=,$(SAMPLE_LANGUAGE))

.PHONY: check
check: .venv/dev  ## Format, lint, types, import contracts, drift of generated files, dependencies, language
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(RUN) -m tests.drift
	@$(BIN)/deptry .
	@$(BIN)/codespell
	@$(if $(LANGUAGE_CHECK),$(RUN) -m tools.language)
	@$(if $(LANGUAGE_CHECK),$(BIN)/codespell --toml tools/dialect.toml)

# The words of the project's former dialect (tools/dialect.txt, tools/language.py). `make check LANGUAGE_CHECK=` skips them.
LANGUAGE_CHECK ?= yes

.PHONY: lint
lint: check

.PHONY: unit
unit: .venv/dev  ## Tests that need no server: under half a minute
	@$(BIN)/pytest --quiet --durations=0 --durations-min=2 --numprocesses 2 --dist loadfile tests/unit

.PHONY: test
test: check  ## Everything: check, then the whole suite with real servers and workers, its coverage, and the quality of matches
	@COVERAGE_CORE=$(COVERAGE_CORE) $(BIN)/pytest $(PARALLEL) $(COVERAGE)
	@$(RUN) bench/quality.py --quick

# Two processes, each with embedded servers and a database of its own; the tests of a module stay together.
PARALLEL := --numprocesses 2 --dist loadfile --no-loadscope-reorder
COVERAGE := --cov --cov-report=term:skip-covered
# Python 3.12 and newer count with sys.monitoring, which costs least.
COVERAGE_CORE = $(shell $(RUN) -c 'import sys; print("sysmon" if sys.version_info >= (3, 12) else "ctrace")')

.PHONY: browser
browser:  ## Installs Chromium for the tests of pages, with apt-get; without it they are skipped
	@if ! command -v chromium chromium-browser google-chrome >/dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "installing Chromium (once)"; \
			(apt-get update && apt-get install --yes --no-install-recommends chromium fonts-dejavu-core) >/dev/null 2>&1 \
				|| { echo "Chromium could not be installed. Install it with your package manager."; exit 1; }; \
		else echo "Chromium is missing, and only root can install it with apt-get. Install it yourself."; exit 1; fi; fi

.PHONY: docs
docs: .venv/dev  ## Builds the site of the docs into site/
	@$(BIN)/zensical build --clean --strict

.PHONY: format
format: .venv/dev  ## Formats the code and fixes what ruff can fix
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

BENCHMARKS := import write pipeline retrieval filters quality encoders embed_server serve dashboard invalidation model_change soak

.PHONY: bench
bench: .venv/dev  ## All benchmarks; BENCH=--quick for a minute each
	@status=0; for name in $(BENCHMARKS); do \
		echo "== bench/$$name.py"; $(RUN) bench/$$name.py $(BENCH) || status=1; done; exit $$status

LARGE := serve filters invalidation dashboard soak

.PHONY: bench-large
bench-large: .venv/dev  ## Those of serving on 1,000,000 generated postings, which it keeps in .data/million
	@status=0; for name in $(LARGE); do \
		echo "== bench/$$name.py"; $(RUN) bench/$$name.py --rows 1000000 --folder .data/million || status=1; done; exit $$status

.PHONY: torture
torture: .venv/dev  ## Kills real processes at random for about ten minutes; SEED=, KILLS=, ROWS=
	@$(RUN) -m tests.torture $(if $(SEED),--seed $(SEED)) $(if $(KILLS),--kills $(KILLS)) $(if $(ROWS),--rows $(ROWS))

.PHONY: safeguards
safeguards: .venv/dev  ## Turns each safeguard of the ledger off and shows which test then fails
	@$(RUN) -m tests.safeguards

.PHONY: screenshots
screenshots: .venv/dev  ## Pictures of the pages of a running `make run`, into screenshots/
	@$(RUN) -m tests.screenshots

.PHONY: proto
proto: .venv/dev  ## Writes the gRPC stubs again from the .proto files
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(RUN) -m grpc_tools.protoc -I. --python_out=. --grpc_python_out=. --mypy_out=quiet:. --mypy_grpc_out=quiet:. $(STUBS)

.PHONY: schema
schema: .venv/dev  ## Prints the GraphQL schema into schema.graphql
	@$(RUN) manage.py graphql_schema --out schema.graphql --verbosity 0

.PHONY: reference
reference: .venv/dev  ## Writes the pages of settings, commands and metrics in docs/reference
	@$(RUN) -m tools.reference

.PHONY: requirements
requirements:  ## Writes requirements/*.txt from pyproject.toml
	@$(PYTHON) -m tools.requirements

.PHONY: lock
lock: .venv/dev  ## The same, and pins every installed package in requirements/constraints.txt
	@$(RUN) -m tools.requirements --pins

.PHONY: clean
clean:  ## Removes the virtual environment and caches; keeps .data
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# --- set-up ---------------------------------------------------------------------------------------------------

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "No Python found: install Python 3.11 or newer."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "jobrec needs Python 3.11 or newer, but $(PYTHON) is $$($(PYTHON) --version 2>&1)."; \
		echo "Install a newer one, or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments: install its venv package (Debian: python3-venv)."; exit 1; }
	@echo "setting up .venv (once)"
	@$(PYTHON) -m venv .venv

# --no-compile: most of what is installed is never imported.
define install
	@echo "installing $(1) (once, a few minutes)"
	@$(RUN) -m pip install --quiet --progress-bar off --no-compile -r $(1) -c requirements/constraints.txt || { \
		echo; echo "Installing $(1) failed, see above."; \
		command -v cc gcc clang >/dev/null || \
			echo "No C compiler was found: if a package had to be compiled, install one (Debian: build-essential)."; \
		exit 1; }
endef

REQUIREMENTS := requirements/base.txt requirements/worker.txt requirements/constraints.txt

.venv/local: .venv/bin/python requirements/local.txt $(REQUIREMENTS)
	$(call install,requirements/local.txt)
	@touch $@

.venv/multilingual: .venv/local requirements/multilingual.txt
	$(call install,requirements/multilingual.txt)
	@touch $@

# Holds all of requirements/local.txt and multilingual.txt: pip is asked once.
.venv/dev: .venv/bin/python requirements/dev.txt requirements/local.txt $(REQUIREMENTS)
	$(call install,requirements/dev.txt)
	@touch .venv/local .venv/multilingual $@
