# Targets (`make help` prints this list):
#   run            store, index and search the sample closet, then serve it at http://localhost:5001 (PHOTOS=folder: your own photos)
#   test           run the fast tests
#   slow           run the tests that take minutes
#   soak           load a server for MINUTES, kill it in between, and check everything; writes .lookalike/soak.html
#   test-full      run the tests of the full models, in .venv-full (7 GB)
#   check          check style, types, layers, spelling and links
#   check-cloud    check the deployment: plans with the provider's schema, linters, permissions (in .venv-cloud, without a cloud)
#   sbom           list packages, licenses, sizes and known vulnerabilities of the images (ARGS=cpu: only that one)
#   costs          estimate what a deployment costs a month (ARGS=--write-docs: write docs/costs.md)
#   docs           build the documentation in site/
#   screenshots    draw the images of the documentation
#   widget         build the web widget from infra/widget
#   bench          compare with the original system and with earlier code and models, and measure exact search
#   bench-search   measure exact search and each kind of query only
#   bench-million  measure approximate search on a million garments
#   bench-full     compare the full models with the packages they come from
#   bench-crashes  kill processes and check what they leave behind
#   deploy         deploy to Google Cloud, or bring the deployment up to date (PROJECT=…, REGION=…; DOMAIN=…, ADMIN=…, SUPABASE_URL=…)
#   rollback       return to the revisions of before the last release (PROJECT=…, REGION=…, DOMAIN=… if there is one)
#   destroy        delete a deployment after two questions (PROJECT=…, REGION=…; KEEP_DATA=1: keep the bucket and an export)
#   clean          delete environments and data
# ARGS=… is passed to the command. See docs/contributing.md and docs/benchmarks.md.

PYTHON ?= python3
CLOSET = .lookalike/closet
PHOTOS ?= $(CLOSET)
MINUTES ?= 10
BIN = .venv/bin
# the query photo: one that is not in the sample closet, or the first of your own photos
QUERY ?= $(if $(filter $(CLOSET),$(PHOTOS)),.lookalike/query.jpg,$(shell find "$(PHOTOS)" -iname '*.jpg' -o -iname '*.jpeg' -o -iname '*.png' -o -iname '*.webp' | sort | head -n 1))
# The tests of a file run in one process, because they share servers.
PARALLEL = --dist loadfile --numprocesses
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help run test test-full slow soak check check-cloud sbom costs docs screenshots widget bench bench-search bench-million bench-full bench-crashes deploy rollback destroy clean
.DELETE_ON_ERROR:

run: .venv/installed
ifeq ($(PHOTOS),$(CLOSET))
	$(BIN)/lookalike closet $(CLOSET) --query $(QUERY)
	$(BIN)/lookalike details import $(CLOSET)/details.csv
endif
	$(BIN)/lookalike ingest "$(PHOTOS)"
	$(BIN)/lookalike reembed
	$(BIN)/lookalike search "$(QUERY)" --out .lookalike/matches.jpg
	$(BIN)/lookalike serve

help:
	@sed -n 's/^#   //p' Makefile

# Fast tests wait often: three processes keep two cores busy.
test: .venv/tested
	$(BIN)/python -m pytest -m "not slow" $(PARALLEL) 3 $(ARGS)

slow: .venv/tested
	$(BIN)/python -m pytest -m slow $(PARALLEL) auto --maxprocesses 4 $(ARGS)

# Needs MariaDB, and Linux for what it reads about the server's processes.
soak: .venv/tested
	$(BIN)/python -m tests.soak --minutes $(MINUTES) $(ARGS)

check: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/python -m pytest -q tests/test_architecture.py tests/docs/test_links.py

# Uses Terraform and npm if they are installed. The linters are in an environment of their own, since they pin other packages.
check-cloud: .venv/tested .venv-cloud/installed .venv-sbom/installed
	$(BIN)/python -m pytest -q -rs $(addprefix tests/infra/test_,plan.py cloud_checks.py cloud_build.py load_balancer.py monitoring.py permissions.py terraform.py services.py bulk_jobs.py dockerfile.py sbom.py) $(ARGS)

# Installs what the images contain, 7 GB, below .lookalike/sbom.
sbom: .venv/tested .venv-sbom/installed
	$(BIN)/python -m infra.sbom $(ARGS)

costs: .venv/tested
	$(BIN)/python -m infra.costs $(ARGS)

# The variable suppresses an advertisement of the theme's authors.
docs: .venv/tested
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

widget: .venv/tested
	$(BIN)/python -m infra.widget.build

# Needs Chromium (Debian and Ubuntu: apt-get install chromium). Writes docs/images.
screenshots: .venv/tested
	$(BIN)/python -m infra.images.flow
	$(BIN)/python -m pytest -q tests/e2e/test_screenshots.py --screenshots docs/images $(ARGS)

bench: .venv/tested
	$(BIN)/python -m tests.benchmarks.against_original $(ARGS)
	$(BIN)/python -m tests.benchmarks.throughput $(ARGS)
	$(BIN)/python -m tests.benchmarks.generations $(ARGS)
	$(BIN)/python -m tests.benchmarks.exact_search
	$(BIN)/python -m tests.benchmarks.query_kinds

test-full: .venv-full/tested
	.venv-full/bin/python -m pytest tests/full $(ARGS)

bench-search: .venv/tested
	$(BIN)/python -m tests.benchmarks.exact_search $(ARGS)
	$(BIN)/python -m tests.benchmarks.query_kinds $(ARGS)

bench-million: .venv/tested
	$(BIN)/python -m tests.benchmarks.million $(ARGS)

bench-full: .venv-full/tested
	.venv-full/bin/python -W ignore -m tests.benchmarks.full_models $(ARGS)

bench-crashes: .venv/tested
	$(BIN)/python -m tests.benchmarks.crash_safety $(ARGS)

# All need gcloud; deploy and destroy also need Terraform. The commands report a missing PROJECT or REGION.
DEPLOYMENT = --project="$(PROJECT)" --region="$(REGION)"

deploy:
	@$(PYTHON) -m infra.deploy deploy $(DEPLOYMENT) --domain="$(DOMAIN)" --admin="$(ADMIN)" --supabase-url="$(SUPABASE_URL)" $(ARGS)

rollback:
	@$(PYTHON) -m infra.release rollback $(DEPLOYMENT) --domain="$(DOMAIN)" $(ARGS)

destroy:
	@$(PYTHON) -m infra.deploy destroy $(DEPLOYMENT) $(if $(KEEP_DATA),--keep-data) $(ARGS)

clean:
	rm -rf .venv .venv-full .venv-cloud .venv-sbom .lookalike site

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is required, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv

.venv-full/bin/python: .venv/bin/python
	$(PYTHON) -m venv .venv-full

.venv-cloud/bin/python: .venv/bin/python
	$(PYTHON) -m venv .venv-cloud

.venv-cloud/installed: infra/cloud-checks.txt | .venv-cloud/bin/python
	.venv-cloud/bin/python -m pip --disable-pip-version-check --quiet install --requirement infra/cloud-checks.txt
	touch $@

.venv-sbom/bin/python: .venv/bin/python
	$(PYTHON) -m venv .venv-sbom

.venv-sbom/installed: infra/sbom/tools.txt | .venv-sbom/bin/python
	.venv-sbom/bin/python -m pip --disable-pip-version-check --quiet install --requirement infra/sbom/tools.txt
	touch $@

.venv/installed: pyproject.toml | .venv/bin/python
	$(PIP) install --editable .
	touch $@

.venv/tested: pyproject.toml | .venv/bin/python
	$(PIP) install --editable '.[dev]'
	touch $@ .venv/installed

.venv-full/tested: pyproject.toml | .venv-full/bin/python
	.venv-full/bin/python -m pip --disable-pip-version-check --quiet install --editable '.[dev,reference]'
	touch $@
