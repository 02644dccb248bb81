# Everything a newcomer types; `make` alone lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt
DEMO := build/demo
MINUTES ?= 30
SEED ?= 1

.PHONY: help demo test lint fast fuzz docs dist clean
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

demo: $(VENV)/.demo-installed ## compile the bundled plate reader for OpenVINO and ONNX Runtime, and measure it
	$(BIN)/lprc compile models/lprnet_synthetic.onnx --target ov-fp32 -o $(DEMO)/ov-fp32 --data models/synthetic_plates/test --bench --verify each
	$(BIN)/lprc compile models/lprnet_synthetic.onnx --target ort-fp32 -o $(DEMO)/ort-fp32 --data models/synthetic_plates/test --bench --verify each
	$(BIN)/lprc compile models/lprnet_synthetic.onnx --target ov-int8 -o $(DEMO)/ov-int8 --calib models/synthetic_plates/calib --plates synthetic --data models/synthetic_plates/test --bench
	$(BIN)/lprc build examples/street/street.toml
	$(BIN)/lprc run examples/street/street.toml examples/street/scenes/0.jpg -o $(DEMO)

test: lint ## lint, and the whole suite, in the order that SEED shuffles
	$(BIN)/python -m pytest -n 2 --dist worksteal --random-order-seed=$(SEED)

fast: $(VENV)/.dev-installed ## the tests that take seconds
	$(BIN)/python -m pytest -n 2 --dist worksteal --random-order-seed=$(SEED) -m "not slow"

lint: $(VENV)/.dev-installed ## ruff, mypy, the layers of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg

# Random trials of what docs/security.md promises; crash files go to build/fuzz.
fuzz: $(VENV)/.dev-installed ## random trials of what docs/security.md promises, MINUTES=30
	$(BIN)/python -W ignore -m tests.fuzz --minutes $(MINUTES)

# NO_MKDOCS_2_WARNING leaves out an advertisement for another tool.
docs: $(VENV)/.dev-installed ## the site, built strictly into build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

dist: $(VENV)/.dev-installed ## the wheel and the source archive, checked, and used on each Python that is here
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl
	$(BIN)/python tools/try_wheel.py dist/*.whl

clean: ## remove everything that was built, and .venv
	rm -rf build dist *.egg-info $(VENV)

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("lprc needs Python 3.10 or newer" if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo-installed: setup.cfg pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[openvino]'
	touch $@

$(VENV)/.dev-installed: setup.cfg pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[dev]'
	touch $@ $(VENV)/.demo-installed
