# Everything a newcomer types: `make demo`, `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt
DEMO := build/demo
MINUTES ?= 30

.PHONY: demo test lint fast fuzz clean
.DELETE_ON_ERROR:

demo: $(VENV)/.demo-installed
	$(BIN)/lprc compile models/lprnet_synthetic.onnx --target ov-fp32 -o $(DEMO)/ov-fp32 --data models/synthetic_plates/test --bench --verify each
	$(BIN)/lprc compile models/lprnet_synthetic.onnx --target ort-fp32 -o $(DEMO)/ort-fp32 --data models/synthetic_plates/test --bench --verify each
	$(BIN)/lprc compile models/lprnet_synthetic.onnx --target ov-int8 -o $(DEMO)/ov-int8 --calib models/synthetic_plates/calib --plates synthetic --data models/synthetic_plates/test --bench
	$(BIN)/lprc build examples/street/street.toml
	$(BIN)/lprc run examples/street/street.toml examples/street/scenes/0.jpg -o $(DEMO)

test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal

fast: $(VENV)/.dev-installed
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

lint: $(VENV)/.dev-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg

# Random trials of what docs/security.md promises; crash files go to build/fuzz.
fuzz: $(VENV)/.dev-installed
	$(BIN)/python -W ignore -m tests.fuzz --minutes $(MINUTES)

clean:
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
