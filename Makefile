# The complete set of commands. Each installs what it needs into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO_STAMP := $(VENV)/.installed-demo

.PHONY: demo test check bench wheel-test clean
.DEFAULT_GOAL := test

$(DEMO_STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[data]"
	touch $@

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@

demo: $(DEMO_STAMP)  ## the main job on real data, with the embedded stand-in model
	$(BIN)/rnnprog run weather --limit 365 --control --out runs/weather
	$(BIN)/rnnprog show runs/weather/trace.jsonl --step 200

test: $(STAMP)  ## every test, doctest and notebook
	$(BIN)/python -m pytest -q -n 2

check: $(STAMP)  ## format, lint, types, import levels
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy rnnprog tests
	$(BIN)/lint-imports

bench: $(STAMP)  ## ratios, side by side in one run
	$(BIN)/python -m benchmarks

wheel-test: $(STAMP)  ## build, install in a clean environment, use from elsewhere
	$(BIN)/python -m pytest -q tests/test_packaging.py

clean:
	rm -rf build dist .venv *.egg-info
