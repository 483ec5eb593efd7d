# `make run` and `make test` set up all they need in .venv/ and var/ and touch nothing else. `make help` lists the rest.
# Settings can be given on the command line: make run PORT=8080 WORKERS=2

MAKEFLAGS += --no-print-directory
VENV := .venv/bin
SUPPORTED := (3, 11) <= sys.version_info < (3, 14)
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not $(SUPPORTED))' 2>/dev/null && { echo $$python; break; }; done)
COMPILE := $(VENV)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --custom-compile-command 'make lock'

# The tests of one file stay together: some share a running site.
PARALLEL := --numprocesses auto --maxprocesses 4 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help install run test test-fast test-services test-compose bench bench-review stress lint format schema lock clean

help:  ## list the targets
	@awk -F ':.*  ## ' '/^[a-z-]+:.*  ## / { printf "%-12s %s\n", $$1, $$2 }' Makefile

install: .venv/run  ## only install what `make run` needs

run: .venv/run  ## run everything on this machine (PORT=8000 WORKERS=1); Ctrl-C stops it
	@exec $(VENV)/python manage.py up

test: .venv/dev  ## run all tests, in parallel and in random order, with branch coverage (ARGS="..." goes to pytest)
	@# Of Python's development mode without the checks of memory: they concern C code, and cost a tenth of the time.
	@PYTHONDEVMODE=1 PYTHONMALLOC=default exec $(VENV)/python -m pytest $(PARALLEL) --cov $(ARGS)

test-fast: .venv/dev  ## run the tests that need no browser and start no processes
	@exec $(VENV)/python -m pytest $(PARALLEL) -m "not browser and not processes" $(ARGS)

test-services: .venv/dev  ## run all tests on PostgreSQL and Redis (their programs have to be installed)
	@# `make test` has those of the inference, which use no server, and RQ's own, which always use one of their own.
	@exec $(VENV)/python -m devtools.services $(PARALLEL) \
		--ignore worker/inference --ignore worker/rq_batch/tests/test_rq_suite.py $(ARGS)

test-compose: .venv/dev  ## build the containers, run them, kill and scale them under load (needs Docker)
	@exec $(VENV)/python -m pytest -p no:randomly tests/compose $(ARGS)

bench: .venv/dev  ## measure, on an idle machine (ARGS="bookkeeping ceiling" for some; needs wrk)
	@exec $(VENV)/python -m stress.bench $(ARGS)

bench-review: .venv/dev  ## measure the reviewing desk with 100,000 cases, on SQLite and PostgreSQL
	@exec $(VENV)/python -m stress.bench review

stress: .venv/dev  ## load a separate system with 10 to 5,000 users (ARGS="--users 50 250 --workers 1 2" for a part; --resume)
	@exec $(VENV)/python -m stress matrix $(ARGS)

lint: .venv/dev  ## ruff, spelling, mypy, the import contract; migrations up to date
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/codespell
	SECRET_KEY=lint $(VENV)/mypy .
	$(VENV)/lint-imports
	SECRET_KEY=lint $(VENV)/python manage.py makemigrations --check --dry-run

format: .venv/dev  ## format the code and apply ruff's fixes
	$(VENV)/ruff check --fix .
	$(VENV)/ruff format .

schema: .venv/dev  ## regenerate docs/openapi.yaml
	SECRET_KEY=schema $(VENV)/python manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

lock: .venv/uv  ## lock the dependencies again (UPGRADE=--upgrade for newer versions)
	$(COMPILE) $(UPGRADE) pyproject.toml --extra tensorflow -o requirements/run.txt
	$(COMPILE) pyproject.toml -c requirements/run.txt -o requirements/serve.txt
	$(COMPILE) $(UPGRADE) pyproject.toml --extra tensorflow --group dev -c requirements/run.txt -o requirements/dev.txt
	echo uv | $(COMPILE) $(UPGRADE) - -o requirements/uv.txt

clean:  ## remove .venv and caches; var/, with all data, stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage

# The marker files .venv/uv, .venv/run and .venv/dev show which of the locked dependencies are installed.

.venv/uv: requirements/uv.txt
	@$(or $(PYTHON),false) -c 'import sys; sys.exit(not $(SUPPORTED))' 2>/dev/null || { \
		echo "make: needs Python 3.11, 3.12 or 3.13; found: $$($(or $(PYTHON),python3) --version 2>&1)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "make: $(PYTHON) comes without venv; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Setting up .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv
	@$(VENV)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

.venv/run: requirements/run.txt .venv/uv
	@echo "Installing the locked dependencies (about 2 GB on disk, most of it TensorFlow)"
	@$(VENV)/uv pip install --quiet --require-hashes -r requirements/run.txt
	@touch $@

.venv/dev: requirements/dev.txt .venv/run
	@echo "Installing what the tests and the linters need"
	@$(VENV)/uv pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@
