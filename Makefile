# Everything happens in .venv; nothing is written to HOME or to the system.
# Needed: Python 3.11 or newer, and make. PostgreSQL comes with the dependencies.

SHELL := /bin/sh
PYTHON ?= python3
UV ?= uv
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST := $(BIN)/python -m pytest
WORKERS ?= 3
COMPILE := $(UV) pip compile pyproject.toml --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate --no-emit-index-url --quiet

export PYTHONUTF8 := 1
export PIP_NO_CACHE_DIR ?= 1
export PIP_ROOT_USER_ACTION := ignore

.PHONY: help venv run demo test lint table scenarios safety peers pictures orthanc corpus bench bench-large \
	bench-durability soak lock clean

help:
	@echo 'make demo    a small hospital, played through the front doors, and served'
	@echo 'make run     the archive without it'
	@echo 'make test    the whole test suite'
	@echo 'also: venv lint table scenarios safety peers pictures orthanc corpus bench bench-large bench-durability soak lock clean'

venv: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'Python 3.11 or newer is needed (make PYTHON=...)' >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation --no-index -e .
	@touch $@

run: $(STAMP)
	$(BIN)/reconcile serve

demo: $(STAMP)
	$(BIN)/reconcile serve --demo

test: $(STAMP)
	$(PYTEST) -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: $(STAMP)
	$(PYTEST) tests/house $(PYTEST_ARGS)

table: $(STAMP)
	$(BIN)/python -m tests.conformance.table

safety: $(STAMP)
	$(BIN)/python -m tests.safety.table $(SAFETY_ARGS)

scenarios: $(STAMP)
	$(BIN)/python -m tests.scenarios.table -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

peers: $(STAMP)
	$(BIN)/python -m tests.interop.table -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

pictures: $(STAMP)
	$(BIN)/python -m tests.e2e.pictures

orthanc: $(STAMP)
	$(BIN)/python -m examples.orthanc.try_it

corpus: $(STAMP)
	$(PIP) install pydicom-data==1.0.0
	$(BIN)/python -m tests.conformance.corpus

soak: $(STAMP)
	RECONCILE_SOAK=1 $(PYTEST) -n $(WORKERS) --dist loadfile --timeout 7200 $(PYTEST_ARGS)

bench: $(STAMP)
	$(BIN)/python -m bench receive --rounds 3
	$(BIN)/python -m bench large --rounds 3
	$(BIN)/python -m bench retrieve --rounds 3
	$(BIN)/python -m bench idle
	$(BIN)/python -m bench events
	$(BIN)/python -m bench seal

bench-large: $(STAMP)
	$(BIN)/python -m bench registry
	$(BIN)/python -m bench history
	$(BIN)/python -m bench find
	$(BIN)/python -m bench events --sizes 100000 10000000

bench-durability: $(STAMP)
	$(BIN)/python -m bench durability

# Versions and hashes, no address; uv is only needed here.
lock:
	$(COMPILE) --extra dev -o requirements.lock
	$(COMPILE) -c requirements.lock -o docker/requirements.lock

clean:
	rm -rf $(VENV) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache \
		.import_linter_cache
