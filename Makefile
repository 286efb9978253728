# Needs python3 (3.11 to 3.13) and make, nothing else. Every target makes .venv itself from the
# project's files and installs again only when these change.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Everything is installed, the extra nengo-dl too. NengoDL 3.6.0 asks for a setuptools to build with
# that does not run on Python 3.12 or later, so it is built with the one in constraints.txt, apart
# and first.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test check bench docs tables figures gallery format dist dist-test clean
.DEFAULT_GOAL := demo

demo: $(READY)  ## real digits through a spiking network
	$(BIN)/python examples/mnist.py

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(READY) docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(READY)
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html

BENCH ?= reference_cnn
bench: $(READY)  ## make bench BENCH=accuracy ARGS=--quick, and the other files of benchmarks/
	PYTHONPATH=examples $(BIN)/python benchmarks/$(BENCH).py $(ARGS)

tables: $(READY)  ## write what code makes in the documentation: tables, outputs of code blocks
	$(BIN)/python docs/tables.py
	PYTHONPATH=examples $(BIN)/python docs/blocks.py

figures: $(READY)  ## draw the figures of the explanations, and the README's picture
	PYTHONPATH=examples $(BIN)/python docs/figures.py

gallery: $(READY)  ## run the notebooks of the gallery again; NOTEBOOK=few-spikes runs one
	PYTHONPATH=examples $(BIN)/python docs/notebooks.py $(NOTEBOOK)

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

dist: $(READY)  ## wheel and sdist
	rm -rf dist
	$(BIN)/python -m build --outdir dist .

# The wheel and the sdist, each alone in a fresh environment of each Python, with a Keras backend.
PYTHONS ?= python3.11 python3.12 python3.13
BACKEND ?= jax
dist-test: dist
	@set -e; for python in $(PYTHONS); do for file in dist/*.whl dist/*.tar.gz; do \
	  home=$$(mktemp -d); \
	  $$python -m venv $$home/venv; \
	  $$home/venv/bin/python -m pip install --quiet --disable-pip-version-check $$file $(BACKEND); \
	  (cd $$home && venv/bin/python $(CURDIR)/.ci/smoke.py $(BACKEND)); \
	  echo "$$file: $$(du -sh $$home/venv | cut -f1) installed"; \
	  rm -rf $$home; \
	done; done

clean:
	rm -rf $(VENV) docs/_build dist

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "kconvert needs Python 3.11 to 3.13: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) setuptools wheel
	$(INSTALL) --no-build-isolation --no-deps nengo-dl
	$(INSTALL) -e '.[dev]'
	@touch $(READY)
