# Everything runs from .venv, which the first target that needs it makes. GNU make 3.81 or newer.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
DATA_DIR ?= gridscribe-data

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# What `make test-system` needs beyond .venv: Debian's package names, and a program of each.
SYSTEM_PACKAGES := redis-server chromium rabbitmq-server fonts-noto-cjk fonts-noto-color-emoji fonts-noto-core openssl faketime
# A Node.js that is not Debian's brings an npm of its own, beside which Debian's cannot be installed.
SYSTEM_PACKAGES += $(if $(shell command -v npm),,nodejs npm)
SYSTEM_PROGRAMS := redis-server chromium rabbitmq-server node npm openssl faketime

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(INSTALLED) ## Label nine sample photos with the whole service; see demo-output/grid.png
	@$(BIN)/gridscribe demo

.PHONY: dev
dev: $(INSTALLED) ## Keep the whole service up on HOST (127.0.0.1) and PORT (8000)
	@$(BIN)/gridscribe dev --host "$(HOST)" --port "$(PORT)" --data-dir "$(DATA_DIR)"

.PHONY: test
test: $(INSTALLED) ## Run every test that needs nothing but .venv
	@$(BIN)/python -m pytest -m "not system and not faults"

.PHONY: test-faults
test-faults: $(INSTALLED) ## Kill and stop processes while they work: nothing may be lost
	@$(BIN)/python -m pytest -m faults

.PHONY: chaos
chaos: $(INSTALLED) ## Mix faults by seed under mixed jobs; writes docs/reports/chaos.md
	@$(BIN)/python -m tests.chaos --seeds 50 --minutes 0.15 --report docs/reports/chaos.md --log build/chaos.log

.PHONY: test-system
test-system: $(INSTALLED) ## Run the tests that need Debian packages, or say which are missing
	@for program in $(SYSTEM_PROGRAMS); do \
	    command -v "$$program" >/dev/null || { \
	        echo "make test-system: no $$program on PATH; install what it needs with:" >&2; \
	        echo "    sudo apt-get install $(SYSTEM_PACKAGES)" >&2; \
	        exit 1; \
	    }; \
	done
	@$(BIN)/python -m pytest -m system

.PHONY: bench
bench: $(INSTALLED) ## Measure how fast sheets are made, against others; see benchmarks/README.md
	@$(BIN)/python -m benchmarks.sheets

.PHONY: bench-captioning
bench-captioning: $(INSTALLED) ## Measure captioning through the queue; writes its report in docs
	@$(BIN)/python -m benchmarks.captioning --report docs/benchmarks/captioning.md

# For scripts that install them: `apt-get install $(make system-packages)`.
.PHONY: system-packages
system-packages:
	@echo $(SYSTEM_PACKAGES)

.PHONY: lint
lint: $(INSTALLED) ## Check style, types, import rules, shell, Dockerfiles and docker-compose.yml
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/bandit --quiet --recursive --configfile pyproject.toml api gridscribe integrations shared worker
	@$(BIN)/shellcheck .ci/run docs/deploy/make-secrets docs/deploy/pin-images
	@$(BIN)/hadolint Dockerfile.api Dockerfile.worker
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

.PHONY: audit
audit: $(INSTALLED) ## Ask the package index for known holes in what the images install; needs a network
	@$(BIN)/python requirements/audit.py

# As part of a check it lets pass, aloud, what nobody could be asked about.
.PHONY: audit-if-reachable
audit-if-reachable: $(INSTALLED)
	@$(BIN)/python requirements/audit.py --unless-unreachable

.PHONY: openapi
openapi: $(INSTALLED) ## Write docs/openapi.json and the reference pages of API, commands and settings anew
	@$(BIN)/python -m api.reference docs
	@$(BIN)/python -m typer gridscribe.cli utils docs --name gridscribe --title Commands --output docs/cli-reference.md
	@$(BIN)/python -m shared.settings_reference docs/settings.md

# The variable silences a notice of the theme's makers; what the build itself warns of is an error.
.PHONY: docs
docs: $(INSTALLED) ## Build the documentation as a site in build/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

.PHONY: bench-load
bench-load: $(INSTALLED) ## Keep the service at saturation for ten minutes; writes docs/reports/load.md
	@$(BIN)/python -m benchmarks.load

.PHONY: bench-scale-out
bench-scale-out: $(INSTALLED) ## Measure what more processes bring; writes docs/reports/scale-out.md
	@$(BIN)/python -m benchmarks.scale_out

.PHONY: bench-http
bench-http: $(INSTALLED) ## Measure uploads and polls against their bounds
	@$(BIN)/python -m benchmarks.http

.PHONY: check
check: lint audit-if-reachable test ## lint, audit and test

.PHONY: gallery
gallery: $(INSTALLED) ## Draw the sheets of docs/gallery anew
	@$(BIN)/python docs/gallery/draw.py

.PHONY: screenshots
screenshots: $(INSTALLED) ## Take the pictures of the web page anew; look at them
	@$(BIN)/python docs/images/web/shoot.py

# Run it with the oldest Python at hand, Debian 12's 3.11.2: newer ones can install its pins too.
# Arbitrary equality (===) keeps out builds such as 2.15.0+cpu, which == would let in.
.PHONY: constraints
constraints: ## Pin in constraints.txt the newest versions that work together
	@$(PYTHON) -m venv --clear build/constraints
	@build/constraints/bin/python -m pip install -qq --disable-pip-version-check -e '.[dev]'
	@{ grep '^#' constraints.txt; \
	    build/constraints/bin/python -m pip freeze --all --exclude pip --exclude-editable | sed -E \
	        -e 's/^(torch|torchvision)==/\1===/' \
	        -e 's/^(cuda|nvidia|triton).*/& ; sys_platform == "linux"/'; \
	} > build/constraints.txt
	@mv build/constraints.txt constraints.txt
	@$(MAKE) hashes UV=build/constraints/bin/uv
	@rm -rf build/constraints

UV ?= $(BIN)/uv
# All is for Linux, so that no line needs to say so. The images have Python 3.12; 3.11 is where a test
# may install them.
UV_COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --constraint constraints.txt

.PHONY: hashes
hashes: ## Write requirements/ anew, which the images install: pins with the hashes of their files
	@for extra in api compose caption; do \
	    $(UV_COMPILE) pyproject.toml --extra $$extra --output-file requirements/$$extra.txt || exit; \
	done
	@echo 'setuptools>=77' | $(UV_COMPILE) - --output-file requirements/build.txt
	@sed -i.old -e "s/ ; (platform_machine [^)]*) and sys_platform == 'linux' / /" \
	    -e "s/ and ((platform_machine .* == 'linux')) / /" requirements/*.txt
	@rm requirements/*.txt.old

.PHONY: clean
clean: ## Remove .venv, caches and outputs; a data folder stays
	rm -rf $(VENV) demo-output build dist *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

# The mark is made last, so that an install that broke off is done again.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Gridscribe needs Python 3.11 or newer, and $(PYTHON) is: $$($(PYTHON) --version 2>&1)." >&2; \
	    echo "Name a newer one: make PYTHON=python3.12 ..." >&2; \
	    exit 1; \
	}
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu:" >&2; \
	    echo "    sudo apt-get install python3-venv" >&2; \
	    exit 1; \
	}
	@echo "Installing into $(VENV): some 5 GB the first time, two minutes or more ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
	@echo "Installed."
