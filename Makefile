# Every target sets itself up in .venv; a second call does no work twice. NB=nbs/x.ipynb limits export and notebooks.
PYTHON ?= python3
BIN := .venv/bin
PY := $(BIN)/python
export OMP_NUM_THREADS ?= 1
NBS := $(shell find nbs -name '*.ipynb' -not -path '*/.*')
.DEFAULT_GOAL := help
.PHONY: help setup run test export notebooks check docs look bench lint clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t12

setup: .venv/.ready ## the environment, in .venv
.venv/.ready: constraints.txt settings.ini setup.py tools/setup.sh
	@PYTHON=$(PYTHON) sh tools/setup.sh

run: .venv/.ready ## the main job: digits and diabetes, from table to most plausible structure
	$(BIN)/bstruct fit digits --test-size 0.25 --seed 0 --out runs/digits --overwrite
	$(BIN)/bstruct fit diabetes --test-size 0.25 --seed 0 --out runs/diabetes --overwrite

test: .venv/.ready ## notebooks and tests, with counts
	$(PY) -m pytest

export: .venv/.ready ## notebooks to library and tests (NB=... for one)
	$(PY) -m tools.export $(NB)

notebooks: .venv/.ready ## execute notebooks, store outputs (NB=..., SLOW=1, GPU=1)
	$(PY) -m tools.execute --save $(if $(SLOW),--slow) $(if $(GPU),--gpu) $(or $(NB),$(NBS))

check: .venv/.ready ## notebook, module, test and limits in step
	$(PY) -m tools.check

docs: _docs/.ready ## the site, in _docs
_docs/.ready: .venv/.ready $(NBS) nbs/references.bib _quarto.yml $(wildcard tools/site/*) $(wildcard tools/*.py) $(wildcard nbs/*.svg)
	@rm -f nbs/_quarto.yml nbs/nbdev.yml  # what nbdev_prepare leaves: for Quarto a project of its own
	$(PY) -m tools.site
	@touch $@

look: _docs/.ready ## the site in Chromium: layout, search, keys
	$(PY) -m pytest -n 0 tests/test_layout.py

bench: .venv/.ready ## every benchmark, or one (BENCH=search), or a try of it (QUICK=1)
	$(PY) -m benchmarks $(BENCH) $(if $(QUICK),--quick)

lint: .venv/.ready ## ruff
	$(BIN)/ruff check .

clean: ## everything that was made here
	rm -rf .venv _docs _proc nbs/_quarto.yml nbs/nbdev.yml runs .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
