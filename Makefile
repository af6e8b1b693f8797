# Each target creates the virtual environment it needs; none needs another to have run first.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
CODE   := bot commands storage tests bench docs bot.py

.PHONY: venv demo run test check lint types bench soak docs clean

venv: $(VENV)/.run

demo: $(VENV)/.run
	$(BIN)/python bot.py demo

run: $(VENV)/.run
	$(BIN)/python bot.py run

test: $(VENV)/.dev
	$(BIN)/python -m pytest

check: lint types test

lint: $(VENV)/.dev
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)

types: $(VENV)/.dev
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/python -m bench

soak: $(VENV)/.dev
	$(BIN)/python -m tests.soak

docs: $(VENV)/.dev
	$(BIN)/python -m tests.docs --write

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache

$(VENV)/.run: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.dev: requirements.txt requirements-dev.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@ $(VENV)/.run
