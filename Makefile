# `make quick` and `make test` need python3 (3.11 or 3.12), pip and make, nothing else.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
CORES ?= all
READY := $(VENV)/.ready
RUN := PATH="$(abspath $(VENV))/bin:$$PATH"
REPORT := results/report.html
TABLE := results/tables/quick/comparisons.csv

.PHONY: quick test setup lint unit docs budget check-links lock

# The quick suite, to its report; a second call finds everything done.
quick: setup
	$(RUN) snakemake --cores $(CORES) --config suite=quick --rerun-incomplete --quiet rules host
	@test $(REPORT) -nt $(TABLE) || $(MAKE) --no-print-directory report

.PHONY: report
report: setup
	$(RUN) snakemake --config suite=quick --report $(REPORT) --report-stylesheet report/report.css --quiet
	@echo "table:  results/tables/quick/comparisons.md"
	@echo "report: $(REPORT)"
	@echo "page:   results/index.html"

# Everything that has to hold before a change is merged.
test: setup lint
	$(RUN) python -m pytest

lint: setup
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) snakefmt --check Snakefile workflow
	$(RUN) snakemake --lint

# Without the tests that run whole workflows: about two minutes.
unit: setup
	$(RUN) python -m pytest -m "not workflow"

# README's table of configuration keys, from the schema.
docs: setup
	$(RUN) python src/config_table.py --write README.md

# Whether every mirror still has its file; needs the network, downloads nothing.
check-links: setup
	$(RUN) python src/check_links.py

# GPU-hours of the paper's suite from measured rates, or from assumed ones:
# make budget RATES=resnet50=3000,vit_b16=1200
budget: setup
	$(RUN) python src/budget.py $(if $(RATES),--rates $(RATES))

setup: $(READY)

# `venv --without-pip` and `pip --python` also work where Debian splits ensurepip off.
$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' || \
	  { echo "tcm-bench needs Python 3.11 or 3.12, but '$(PYTHON)' is $$($(PYTHON) --version 2>&1); name another one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	@echo "setting up $(VENV) (about 6 GB, two minutes or so)"
	rm -rf $(VENV)
	$(PYTHON) -m venv --without-pip $(VENV)
	$(PYTHON) -m pip --python $(VENV)/bin/python install --quiet --no-deps --require-hashes -r requirements.lock
	touch $(READY)

# Newest versions within pyproject's ranges, with hashes and without addresses.
lock: setup
	$(RUN) uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	  --generate-hashes --no-header --quiet --upgrade --output-file requirements.lock
