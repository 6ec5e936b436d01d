# The complete set of commands. Each installs what it needs into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO_STAMP := $(VENV)/.installed-demo

.PHONY: demo test check exam tune-demo bench wheel-test clean test-latent latent-demo
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

exam: $(STAMP)  ## all cells on three tasks with the embedded stand-in: results and pages under runs/exam
	$(BIN)/rnnprog compare weather --cells all --limit 100 --out runs/exam/weather
	$(BIN)/rnnprog compare sp500 --cells all --limit 100 --out runs/exam/sp500
	$(BIN)/rnnprog compare regimes --cells all --option n_sequences=12 --option n_steps=30 --prompts --out runs/exam/regimes

tune-demo: $(STAMP)  ## make better prompts out of a first draft, with the embedded stand-in; run it again to go on
	$(BIN)/rnnprog tune regimes --option n_sequences=30 --option n_steps=20 --option n_changes=0 --trials 30 --out runs/tune/regimes \
		--prompt "rewriter=Rewrite the notes under the given headings, within the budget."

bench: $(STAMP)  ## ratios, side by side in one run
	$(BIN)/python -m benchmarks

wheel-test: $(STAMP)  ## build, install in a clean environment, use from elsewhere
	$(BIN)/python -m pytest -q tests/test_packaging.py

# The optional latent wing has an environment of its own, so that the other targets do without torch. The exact pin comes
# first: an open range may bring several gigabytes of CUDA packages.
LVENV := .venv-latent
LBIN := $(LVENV)/bin
LSTAMP := $(LVENV)/.installed

$(LSTAMP): pyproject.toml
	test -x $(LBIN)/python || $(PYTHON) -m venv $(LVENV)
	$(LBIN)/python -m pip install --quiet --disable-pip-version-check "torch==2.13.0"
	$(LBIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[latent]" \
		"pytest>=8" "pytest-xdist>=3.6" "hypothesis>=6.100" "nbclient>=0.10" "nbformat>=5.10" "ipykernel>=6.29"
	touch $@

test-latent: $(LSTAMP)  ## the latent wing: tests, doctests, notebook
	$(LBIN)/python -m pytest -q -n 2 -o addopts="--doctest-modules --import-mode=importlib -p no:cacheprovider" \
		tests/latent rnnprog/latent

latent-demo: $(LSTAMP)  ## train a tiny backbone and show what recalls and what does not
	$(LBIN)/python -m rnnprog.latent.cli demo --out runs/latent

clean:
	rm -rf build dist .venv .venv-latent *.egg-info
