# Everything a developer types. `make install`, `make demo` and `make test` need Python 3.11 or newer and a network to a
# package index, nothing else; a second run installs nothing.

VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet
IDP    := tests/support/idp
OLDER  := tests/support/canaille_scim.txt
UV     ?= uv
ARGS   ?=

# Programs start a second sooner with compiled modules, wherever bytecode is not written otherwise.
unexport PYTHONDONTWRITEBYTECODE

# A stamp carries the checksum of what was installed, so that another lock file is another stamp. cksum is in POSIX.
checksum   = $(shell cat $(1) | cksum | cut -d ' ' -f 1)
INSTALLED := $(VENV)/.installed-$(call checksum,requirements.lock pyproject.toml)
TESTABLE  := $(VENV)/.testable-$(call checksum,requirements-test.lock pyproject.toml)
CANAILLE  := $(VENV)/canaille-scim/.installed-$(call checksum,$(OLDER))
NPM       := $(shell command -v npm 2>/dev/null)
PROVIDERS := $(if $(NPM),$(IDP)/node_modules/.installed-$(call checksum,$(IDP)/package-lock.json))

.PHONY: help install demo test soak bench lint format lock clean

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile

install: $(INSTALLED) ## The virtual environment with the locked dependencies and the two packages

demo: install ## Start everything on loopback and print the links to open
	@$(BIN)/sso-gate demo

test: $(TESTABLE) $(PROVIDERS) $(CANAILLE) ## The whole suite; ARGS="tests/unit -x" for a part of it
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

soak: $(TESTABLE) $(PROVIDERS) $(CANAILLE) ## The long programmes: fault runs and storms
	@$(BIN)/python -m pytest -m soak $(ARGS)

bench: $(TESTABLE) $(PROVIDERS) $(CANAILLE) ## Measurements, printed
	@$(BIN)/python -m pytest -m bench -p no:randomly --capture=no $(ARGS)

lint: $(TESTABLE) ## mypy, ruff and the import contracts (the last two are part of `make test`)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: $(TESTABLE) ## Let ruff rewrite what it can
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

# The newest releases that pyproject.toml allows, for every platform, hashed and without an address. For developers with uv.
lock: ## Make the lock files anew (needs uv; npm for the test providers)
	$(UV) pip compile --quiet --upgrade --generate-hashes --no-header --no-annotate --universal --group build \
	  pyproject.toml --output-file requirements.lock
	$(UV) pip compile --quiet --upgrade --generate-hashes --no-header --no-annotate --universal --group build --extra test \
	  --constraint requirements.lock pyproject.toml --output-file requirements-test.lock
	if command -v npm; then cd $(IDP) && npm update --package-lock-only --ignore-scripts && node strip_addresses.js; fi

clean: ## Remove what the targets above have made
	rm -rf $(VENV) $(IDP)/node_modules .pytest_cache .mypy_cache .ruff_cache

$(BIN)/python:
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "making $(VENV) with $$($$python --version)"; \
	    $$python -m venv $(VENV) && exit 0; \
	    rm -rf $(VENV); echo "the venv module of $$python does not work; Debian has it in python3-venv" >&2; exit 1; \
	  fi; \
	done; echo "Python 3.11 or newer is needed; say where with PYTHON=/path/to/python3" >&2; exit 1

# setuptools, which builds the two packages, comes from the lock file too: no build isolation, nothing unhashed.
$(INSTALLED): | $(BIN)/python
	@echo "installing the locked dependencies"
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.installed-* && touch $@

# The test lock holds everything of the other one in the same versions (tests/architecture checks it).
$(TESTABLE): | $(BIN)/python
	@echo "installing the locked dependencies and those of the tests"
	@$(PIP) --require-hashes -r requirements-test.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.installed-* $(VENV)/.testable-* && touch $@ $(INSTALLED)

# Canaille provisions with an older SCIM client than the suite's own; only its process looks into this folder.
$(VENV)/canaille-scim/.installed-%: $(OLDER) | $(TESTABLE)
	@echo "installing the SCIM client of Canaille"
	@rm -rf $(@D)
	@$(PIP) --no-deps --only-binary :all: --require-hashes --target $(@D) -r $(OLDER)
	@touch $@

# Without them the tests that need Node are left out, and say so.
$(IDP)/node_modules/.installed-%:
	@echo "installing the identity providers of the tests"
	@cd $(IDP) && if npm ci --ignore-scripts --silent --no-audit --no-fund; then touch node_modules/$(notdir $@); \
	  else rm -rf node_modules; echo "npm could not install them" >&2; fi
