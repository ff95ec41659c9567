# `make quick` and `make test` need a Python (3.11 to 3.14) with pip, on 3.14 a C compiler and Python's
# headers, and make, nothing else.
SHELL := /bin/bash
PYTHON ?=
VENV ?= .venv
CORES ?= all
SHARE ?= 1
# Processes that run tests; each takes up to 2 GB.
WORKERS ?= 2
TOGETHER := -n $(WORKERS) --dist loadfile --durations 20
KILLS ?= 50
READY := $(VENV)/.ready
# Made first, so that an environment that is not whole is known as ours too.
MADE := $(VENV)/.made-by-tcm-bench
RUN := PATH="$(abspath $(VENV))/bin:$$PATH"
REPORT := results/report.html
TABLE := results/tables/quick/comparisons.csv

.DEFAULT_GOAL := help
.PHONY: help quick report test setup lint unit docs plan budget preflight rehearsal faults check-links audit licences lock envs

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

quick: setup ## the quick suite, to its report; a second call finds everything done
	$(RUN) python -m snakemake --cores $(CORES) --config suite=quick --rerun-incomplete --quiet rules host
	@test $(REPORT) -nt $(TABLE) || $(MAKE) --no-print-directory report

report: setup ## Snakemake's report of the quick suite
	$(RUN) python -m snakemake --config suite=quick --report $(REPORT) --report-stylesheet report/report.css --quiet
	@echo "table:  results/tables/quick/comparisons.md"
	@echo "report: $(REPORT)"
	@echo "page:   results/index.html"

test: setup lint ## lint and all tests; has to pass before a change is merged
	$(RUN) python -m pytest $(TOGETHER)

unit: setup ## tests without those that run whole workflows, about seven minutes
	$(RUN) python -m pytest $(TOGETHER) -m "not workflow"

lint: setup ## ruff, mypy, snakefmt and Snakemake's own lint
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) snakefmt --check Snakefile workflow
	$(RUN) python -m snakemake --lint

rehearsal: setup ## the paper suite with tiny pictures, hours on a processor; SHARE=0.1 takes a tenth
	$(RUN) PYTHONPATH=src python -m tests.rehearsal --share $(SHARE)

faults: setup ## kill -9 of 50 random processes of a workflow, half an hour; KILLS=8 makes eight
	$(RUN) PYTHONPATH=src python -m tests.faults --kills $(KILLS)

docs: setup ## the table of configuration keys in docs/, from the schema
	$(RUN) python src/config_table.py --write docs/configuration.md

check-links: setup ## ask every mirror for its file, without downloading; needs the network
	$(RUN) python src/check_links.py

# In an environment of its own: the lock then holds no package for it. Nothing of the lock is
# installed, its versions are looked up; --strict fails where they cannot be.
AUDIT := .venv-audit
audit: ## look the locked packages up among known vulnerabilities; needs the network
	@test -x $(AUDIT)/bin/pip-audit || { $(PYTHON) -m venv $(AUDIT) && $(AUDIT)/bin/pip install --quiet "pip-audit>=2.7"; }
	$(AUDIT)/bin/pip-audit --requirement requirements.lock --no-deps --disable-pip --require-hashes --strict

licences: setup ## the table of the locked packages' licences in docs/, from what they declare
	$(RUN) python src/licences.py --write docs/licences.csv

plan: setup ## what a suite costs, run by run; GPU=H100 or MEMORY=24, SUITE, PRICE an hour, RATES, CSV
	$(RUN) python src/plan.py --suite $(or $(SUITE),paper) \
	  $(if $(MEMORY),--gpu-memory $(MEMORY)) $(if $(or $(GPU),$(MEMORY)),$(if $(GPU),--gpu "$(GPU)"),--gpu H100) \
	  $(if $(PRICE),--price $(PRICE)) $(if $(RATES),--rates $(RATES)) $(if $(CSV),--csv $(CSV))

budget: plan ## the same

preflight: setup ## real steps, memory, disk, network on this machine, before a suite starts; SUITE
	$(RUN) python src/preflight.py --suite $(or $(SUITE),paper)

setup: $(READY) ## the private environment in .venv, from requirements.lock

# `venv --without-pip` and `pip --python` also work where Debian splits ensurepip off, and ensurepip
# where there is no pip.
$(READY): requirements.lock
	@test ! -e "$(VENV)" || test -e "$(MADE)" || test -e "$(READY)" || test -z "$$(ls -A "$(VENV)")" || \
	  { echo "$(VENV) would be replaced, but 'make setup' did not make it; name another folder: make $(MAKECMDGOALS) VENV=.venv-tcm" >&2; exit 2; }
	@python=$$(envs/find_python.sh "make $(MAKECMDGOALS)" "$(PYTHON)") || exit 2; \
	"$$python" envs/require_space.py "$(VENV)" "make $(MAKECMDGOALS)" || exit 2; \
	echo "setting up $(VENV) with $$python (about 7 GB, two minutes or so)"; \
	set -e; \
	rm -rf "$(VENV)"; \
	mkdir -p "$(VENV)"; touch "$(MADE)"; \
	"$$python" -m venv --without-pip "$(VENV)"; \
	"$$python" -c 'import pip' 2> /dev/null || \
	  { python="$(VENV)/bin/python"; "$$python" -m ensurepip > /dev/null; }; \
	"$$python" -m pip --python "$(VENV)/bin/python" install --quiet --no-deps --require-hashes -r requirements.lock; \
	"$$python" -m pip --python "$(VENV)/bin/python" install --quiet --no-deps --no-build-isolation --editable .; \
	touch $(READY)

# All extras but faiss-gpu: it ships the folder of faiss-cpu.
EXTRAS := train data fast faiss losses tensorboard metrics report workflow slurm test dev
lock: setup ## newest versions within the ranges of pyproject.toml, with hashes and without addresses
	$(RUN) uv pip compile pyproject.toml $(EXTRAS:%=--extra %) --universal --python-version 3.11 \
	  --generate-hashes --no-header --quiet --upgrade --output-file requirements.lock
	@$(MAKE) --no-print-directory envs licences

envs: setup ## the conda environments: what envs/*.in names and all that pip takes with it, as locked
	@for file in envs/*.in; do \
	  pins=$$($(RUN) uv pip compile $$file --constraint requirements.lock --universal \
	    --python-version 3.13 --no-header --no-annotate --quiet) || exit 1; \
	  { printf '%s\n' "# Written by \`make envs\` from $$(basename $$file) and requirements.lock, by pip: one set of" \
	    "# builds with and without conda." "channels:" "  - conda-forge" "dependencies:" \
	    "  - conda-forge::python=3.13" "  - conda-forge::pip" "  - pip:"; \
	    sed 's/^/      - /' <<< "$$pins"; } > $${file%.in}.yaml; \
	done
