# Everything a developer or a reader runs, by name; `make` alone lists it.
# The environment is built into .venv from requirements.lock, which pins every package by its hash,
# with uv where it is installed and with python3's own venv and pip where it is not.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
SECONDS = 45
UV := $(shell command -v uv 2>/dev/null)
INSTALLED := .venv/.installed

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: $(INSTALLED) ## Run the demo on a private Redis (SECONDS=45)
	.venv/bin/warmer demo --seconds $(SECONDS)

.PHONY: test
test: $(INSTALLED) ## Run the tests
	.venv/bin/pytest -q -n auto --maxprocesses 4

.PHONY: check
check: $(INSTALLED) ## Lint, format check, types, import contracts
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

.PHONY: bench
bench: $(INSTALLED) ## Run every benchmark
	@failed=; for file in benchmarks/*.py; do echo "== $$file"; .venv/bin/python "$$file" || failed="$$failed $$file"; done; \
	if [ -n "$$failed" ]; then echo "not held:$$failed" >&2; exit 1; fi

.PHONY: bench-quick
bench-quick: $(INSTALLED) ## Run every benchmark quickly, and judge its promises
	cd benchmarks && ../.venv/bin/python -m measuring.quick_suite

.PHONY: up
up: ## Build and start the whole service in containers
	docker compose up -d --build --wait

.PHONY: down
down: ## Stop the containers
	docker compose down

.PHONY: lock
lock: ## Write requirements.lock anew from pyproject.toml (needs uv)
	uv pip compile --universal --generate-hashes --no-header --quiet --all-extras --python-version 3.11 \
		pyproject.toml --output-file requirements.lock

.PHONY: clean
clean: ## Remove the environment, builds and caches
	rm -rf .venv build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Source packages are built with the build tools of the lock too. pip cannot check hashes inside its isolated
# builds, so those tools go in first and the rest is built in .venv itself.
BUILD_TOOLS := setuptools|wheel|packaging
PIP_INSTALL := .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps

$(INSTALLED): requirements.lock pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.version_info >= (3, 11) or sys.exit("warmer needs Python 3.11 or newer, try: make PYTHON=python3.11")'
ifneq ($(UV),)
	test -x .venv/bin/python || uv venv --quiet --python "$(PYTHON)" .venv
	uv pip sync --quiet --python .venv/bin/python --require-hashes --build-constraints requirements.lock requirements.lock
	uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
else
	"$(PYTHON)" -m venv .venv
	awk '/^[a-z]/ { keep = /^($(BUILD_TOOLS))==/ } keep' requirements.lock > .venv/build-tools.lock
	$(PIP_INSTALL) --require-hashes -r .venv/build-tools.lock
	$(PIP_INSTALL) --require-hashes --no-build-isolation --use-pep517 -r requirements.lock
	$(PIP_INSTALL) --no-build-isolation --editable .
endif
	@touch $@
