# One definition of every task; CI runs `make check`. The only prerequisites are make and Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test unit check bench simulate simulate-mutants crash-points fmt lock

help: ## list the tasks
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/runtime.stamp ## run everything on this machine and tell the story of a deposit; ONCE=1 tells it and exits
	@$(BIN)/penpay demo $(if $(ONCE),--once)

test: $(VENV)/dev.stamp ## run every test, on servers of its own; says at the end what could not run
	@$(BIN)/pytest -n 2 --dist loadscope --no-loadscope-reorder

unit: $(VENV)/dev.stamp ## run the unit tests
	@$(BIN)/pytest tests/unit

check: $(VENV)/dev.stamp ## what CI runs: lint, format, types, layers, then every test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	@$(MAKE) --no-print-directory test

bench: $(VENV)/runtime.stamp ## measure the command path on SQLite and on a durable PostgreSQL and MariaDB of its own
	@$(BIN)/python -m bench.run

simulate: $(VENV)/runtime.stamp ## run seeds of the simulation; SEEDS=1..300 JOBS=2
	@$(BIN)/penpay simulate --seeds $(or $(SEEDS),1..300) --jobs $(or $(JOBS),2)

simulate-mutants: $(VENV)/runtime.stamp ## plant bugs on purpose and find each; writes docs/mutants.md
	@page=$$(mktemp); $(BIN)/penpay simulate --mutants > "$$page"; status=$$?; \
		if test -s "$$page"; then cat "$$page" > docs/mutants.md; fi; cat "$$page"; rm "$$page"; exit $$status

crash-points: $(VENV)/runtime.stamp ## crash at every commit and call of every flow; writes docs/crash_points.md
	@page=$$(mktemp); $(BIN)/penpay simulate --crash-points --pairs > "$$page"; status=$$?; \
		if test -s "$$page"; then cat "$$page" > docs/crash_points.md; fi; rm "$$page"; exit $$status

fmt: $(VENV)/dev.stamp ## format the code and apply the safe fixes
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

lock: $(VENV)/runtime.stamp ## pin requirements/*.in with hashes; UPGRADE=1 moves to the newest versions
	@test -x $(BIN)/uv || $(PIP_INSTALL) --require-hashes -r requirements/lock.txt
	@set -e; for name in build runtime dev lock third-party; do \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
			--no-emit-index-url --no-emit-find-links --no-annotate --no-header $(if $(UPGRADE),--upgrade) \
			--output-file requirements/$$name.txt requirements/$$name.in; \
	done

$(VENV)/runtime.stamp: requirements/runtime.txt requirements/build.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "PenPay needs Python 3.11 or newer as '$(PYTHON)'. Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "'$(PYTHON)' has no venv module. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing PenPay into $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP_INSTALL) --require-hashes -r requirements/build.txt -r requirements/runtime.txt
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/runtime.stamp requirements/dev.txt
	@echo "Installing the development tools into $(VENV) ..."
	@$(PIP_INSTALL) --require-hashes -r requirements/runtime.txt -r requirements/dev.txt
	@touch $@
