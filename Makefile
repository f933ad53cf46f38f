# run: garments found in photographs, stored, indexed and searched, then served at http://localhost:5001
#      make run PHOTOS=folder uses your own photographs instead of the drawn closet
# test: the tests · check: style, types, import rules · bench: ours beside the original's way

PYTHON ?= python3
PHOTOS ?= .lookalike/closet
BIN = .venv/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: run test check bench clean
.DELETE_ON_ERROR:

run: .venv/installed
	@case "$(PHOTOS)" in .lookalike/closet) $(MAKE) --no-print-directory closet ;; esac
	$(BIN)/lookalike ingest "$(PHOTOS)"
	$(BIN)/lookalike index build
	$(BIN)/lookalike search "$$(find "$(PHOTOS)" -type f \( -iname '*.jpg' -o -iname '*.jpeg' -o -iname '*.png' -o -iname '*.webp' \) | sort | tail -n 1)" --out .lookalike/matches.jpg
	$(BIN)/lookalike serve

.PHONY: closet
closet: .venv/installed
	$(BIN)/lookalike closet .lookalike/closet
	$(BIN)/lookalike details import .lookalike/closet/details.csv

test: .venv/tested
	$(BIN)/python -m pytest $(ARGS)

check: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_house.py

bench: .venv/tested
	$(BIN)/python -m tests.benchmarks.against_original $(ARGS)

clean:
	rm -rf .venv .lookalike

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml | .venv/bin/python
	$(PIP) install --editable .
	touch $@

.venv/tested: pyproject.toml | .venv/bin/python
	$(PIP) install --editable '.[dev]'
	touch $@ .venv/installed
