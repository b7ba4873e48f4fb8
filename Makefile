# Two commands for a fresh machine: `make demo` and `make test`. Each makes .venv and installs into it.
# A C++17 compiler and Python 3.11 or later are needed; PYTHON=python3.12 picks another interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=constraints.txt $(BIN)/pip install --quiet
SOURCES := pyproject.toml constraints.txt CMakeLists.txt $(shell find kernels -name '*.cpp' -o -name '*.h')

# Whoever has node: `make web` installs onnxruntime-web (140 MB), and pytest then runs the files in it too.
.PHONY: demo test docs web zoo lint bench clean

demo: $(VENV)/demo.stamp
	$(BIN)/fluxpath demo --out demo-output

test: $(VENV)/test.stamp lint
	$(BIN)/pytest -n 2 --dist loadfile

# mkdocs-material prints a notice about MkDocs 2 otherwise, which pyproject.toml rules out.
docs: $(VENV)/docs.stamp
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

web:
	npm ci --prefix tests/runtimes

zoo: $(VENV)/test.stamp
	$(BIN)/pytest tests/zoo -m ""
	$(BIN)/pytest tests/test_benchmarks_gpu.py -m zoo

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/bench.stamp
	$(BIN)/python -m benchmarks.own --out bench-output

$(VENV)/demo.stamp: $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) -e ".[demo]"
	touch $@

$(VENV)/test.stamp: $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) -e ".[test]"
	touch $@

$(VENV)/docs.stamp: $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) -e ".[docs]"
	touch $@

$(VENV)/bench.stamp: $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) -e ".[bench]"
	touch $@

clean:
	rm -rf $(VENV) build demo-output bench-output
