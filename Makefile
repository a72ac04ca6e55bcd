# Genki. `make up` runs it, `make test` proves it; both begin on a machine with nothing but Python 3.11.
# More arguments go through ARGS: make up ARGS="--port 9000 --empty"; make test ARGS="-k coverage".
UV := 0.13.9
BASE := $(firstword $(shell command -v python3.11) $(shell command -v python3) python3)
PYTHON := .venv/bin/python
ARGS ?=
# Much of a test run is waiting: three workers share the files, each with its own PostgreSQL and, if it needs one, Kafka.
WORKERS ?= 3
SHARED := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
export UV_PROJECT_ENVIRONMENT := .venv
# Without compiled bytecode every process reads its libraries as source: seconds of CPU for each start.
export UV_COMPILE_BYTECODE := 1
unexport PYTHONDONTWRITEBYTECODE
export UV_PYTHON := .venv/bin/python

.PHONY: setup up test check bench faults soak migrate
.DEFAULT_GOAL := up

setup: .venv/.ready

.venv/.ready: pyproject.toml uv.lock
	@$(BASE) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Genki needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	@test -x $(PYTHON) || $(BASE) -m venv .venv || { echo "No venv here; on Debian: apt-get install python3-venv" >&2; rm -rf .venv; exit 1; }
	@test -x .venv/bin/uv || $(PYTHON) -m pip install --quiet --disable-pip-version-check uv==$(UV)
	.venv/bin/uv sync --frozen --inexact --no-progress
	@touch $@

up: setup
	@exec .venv/bin/genki up $(ARGS)

migrate: setup
	@.venv/bin/genki migrate $(ARGS)

# Everything. Kafka is what GENKI_TEST_KAFKA names, else Docker's, else its own jars; the last lines say which.
test: setup
	@sh deploy/kafka/obtain-maven.sh
	$(PYTHON) -m pytest $(SHARED) $(ARGS)

# Format, lint, types, import laws, unused parts, and the tests that need neither database nor broker.
check: setup
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/lint-imports --no-logo
	.venv/bin/deptry .
	.venv/bin/basedpyright
	$(PYTHON) -m pytest -q -m "not slow and not kafka and not database" $(ARGS)

# Processes killed, frozen, cut off and filled up under load, every book balanced afterwards; `make test` plays a part.
faults: setup
	@sh deploy/kafka/obtain-maven.sh
	$(PYTHON) -m tests.faults $(ARGS)

# Thirty minutes of load with a fault a minute: make soak ARGS="--minutes 120".
soak: setup
	@sh deploy/kafka/obtain-maven.sh
	$(PYTHON) -m tests.faults.soak $(ARGS)

bench: setup
	@sh deploy/kafka/obtain-maven.sh
	$(PYTHON) -m tests.bench $(ARGS)
