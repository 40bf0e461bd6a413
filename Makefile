PYTHON ?= python3
SHELL := /bin/bash
MAKEFLAGS += --jobs=2 --no-print-directory
# Small linear systems are solved eight times slower with two BLAS threads than with one.
export OPENBLAS_NUM_THREADS ?= 1
export OMP_NUM_THREADS ?= 1
# Bytecode is cached in .venv even where the environment disables it: without a cache an import takes three times as long.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX ?= $(CURDIR)/.venv/pycache

BIN := .venv/bin
GRAPHIQL := app/web/graphiql
CLIENTS := tests/clients
WEB_TESTS := tests/app/web/site
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-header

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run live test coverage check bench-quality bench-search bench-hostile bench-overload bench-cost bench-pauses bench-faults bench-fuzz bench-soak release lock clean

help: ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

run: .venv/.run .venv/.graphiql ## Install, prepare a database and serve on http://127.0.0.1:8000
	@exec $(BIN)/marquee serve --prepare

live: .venv/.dev .venv/.graphiql ## Run Kafka, the service, an ingester and Prometheus, with a simulated stream
	@exec $(BIN)/python -m bench.live $(ARGS)

test: .venv/.dev .venv/.graphiql ## Run the tests on a real Postgres
	@$(BIN)/pytest --numprocesses auto --dist worksteal $(ARGS)

# Coverage handles SIGTERM itself, and slows what these tests count.
UNCOVERED := $(addprefix --deselect , \
	tests/app/db/test_embedded.py::test_a_signal_stops_the_server_too \
	tests/monitoring/test_logs.py::test_all_lines_of_a_service_are_json_from_start_to_stop \
	tests/schema/http/test_calls.py \
	tests/schema/http/test_outages.py::test_a_training_service_stops_on_request_without_a_database \
	tests/schema/http/test_rate_limits.py::test_a_refused_document_costs_its_parsing \
	tests/test_start.py::test_first_start_second_start_and_every_kind_of_stop)

coverage: .venv/.dev .venv/.graphiql ## Run the tests with coverage; fail below the floor in pyproject.toml
	@rm -f .venv/coverage*
	COVERAGE_FILE=.venv/coverage $(BIN)/coverage run -m pytest --numprocesses auto --dist worksteal $(UNCOVERED) $(ARGS)
	COVERAGE_FILE=.venv/coverage $(BIN)/coverage combine --quiet
	COVERAGE_FILE=.venv/coverage $(BIN)/coverage report

check: .venv/.dev ## Lint, types, import rules, breaking changes, and drift of the SDL, docs/api.md and the migrations
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/marquee export-schema --check
	$(BIN)/python -m bench.architecture --check
	$(BIN)/marquee diff-schema > /dev/null
	$(BIN)/pytest -q tests/test_migrations.py -k drift

bench-quality: .venv/.dev ## Measure the quality of lists and stars on ../shared/data; writes docs/bench/quality.md
	$(BIN)/python -m bench.quality --page docs/bench/quality.md $(ARGS)

bench-search: .venv/.dev ## Measure the quality of search on ../shared/data; writes docs/bench/search.md
	$(BIN)/python -m bench.search --page docs/bench/search.md $(ARGS)

bench-hostile: .venv/.dev ## Time the refusals of hostile requests; writes docs/bench/hostile.md
	$(BIN)/python -m bench.hostile --page docs/bench/hostile.md $(ARGS)

bench-cost: .venv/.dev ## Compare the cost of each field with its processor time; writes docs/bench/cost.md
	$(BIN)/python -m bench.cost --page docs/bench/cost.md $(ARGS)

bench-pauses: .venv/.dev ## Measure delays of other clients while a member with a long history is served; writes docs/bench/pauses.md
	$(BIN)/python -m bench.pauses --page docs/bench/pauses.md $(ARGS)

bench-overload: .venv/.dev ## Send more requests than one process can handle; writes docs/bench/overload.md
	$(BIN)/python -m bench.overload --page docs/bench/overload.md $(ARGS)

bench-soak: .venv/.dev ## Load the service and an ingester for 15 minutes; writes docs/bench/soak.md
	$(BIN)/python -m bench.soak $(ARGS)

bench-faults: .venv/.dev ## Kill all processes at random under load; writes docs/bench/faults.md
	$(BIN)/python -m bench.faults $(ARGS)

bench-fuzz: .venv/.dev ## Send 5,000 random operations: none may cause an internal error; compare 20,000 compiled ones
	FUZZ_EXAMPLES=5000 $(BIN)/pytest -q --numprocesses 0 tests/schema/http/test_fuzz.py $(ARGS)
	COMPILED_FUZZ=20000 $(BIN)/pytest -qs --numprocesses 0 tests/schema/execution/compiled/test_fuzz.py $(ARGS)

release: ## Release VERSION=x.y.z: set it in pyproject.toml, the changelog and the released schema
	@[[ "$(VERSION)" =~ ^[0-9]+\.[0-9]+\.[0-9]+$$ ]] || { echo "Set the version: make release VERSION=x.y.z" >&2; exit 1; }
	@last=$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml); \
		[[ "$(VERSION)" != "$$last" && "$$(printf '%s\n' "$$last" $(VERSION) | sort -V | tail -1)" = "$(VERSION)" ]] \
		|| { echo "$(VERSION) is not newer than $$last, the last release" >&2; exit 1; }
	@sed -n '/^## Unreleased$$/,/^## [0-9]/p' CHANGELOG.md | grep -q '^[^#]' \
		|| { echo "CHANGELOG.md has no entry under Unreleased" >&2; exit 1; }
	@[ -z "$$(git status --porcelain)" ] || { echo "Commit all changes before a release" >&2; exit 1; }
	@$(MAKE) check
	$(BIN)/python -m app.cli.release $(VERSION)
	@echo "Now run: git commit --all --message 'Release $(VERSION)' && git tag v$(VERSION)"

lock: .venv/.dev ## Update the lock files (ARGS=--upgrade for newer releases)
	$(COMPILE) $(ARGS) pyproject.toml --output-file requirements.lock
	$(COMPILE) $(ARGS) pyproject.toml --extra kafka --constraint requirements.lock --output-file requirements-image.lock
	$(COMPILE) $(ARGS) pyproject.toml --extra dev --constraint requirements.lock --output-file requirements-dev.lock
	$(COMPILE) $(ARGS) --group install --constraint requirements-dev.lock --output-file requirements-install.lock
	cd $(GRAPHIQL) && npm install --package-lock-only --omit-lockfile-registry-resolved
	cd $(CLIENTS) && npm install --package-lock-only --omit-lockfile-registry-resolved
	cd $(WEB_TESTS) && npm install --package-lock-only --omit-lockfile-registry-resolved

clean: ## Remove installed files; keep the data in .data
	rm -rf .venv $(GRAPHIQL)/vendor $(GRAPHIQL)/node_modules $(CLIENTS)/node_modules $(WEB_TESTS)/node_modules

.venv/.install: requirements-install.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Marquee needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "Creating .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/.run: requirements.lock .venv/.install pyproject.toml
	$(call install,$<)

.venv/.dev: requirements-dev.lock .venv/.install pyproject.toml
	$(call install,$<)
	@touch .venv/.run

# uv takes a quarter of pip's time. If uv cannot reach pip's index, pip installs the packages. Both show their progress.
define install
	@echo "Installing $(1): about $$(grep -c '==' $(1)) packages"
	@index="$$($(BIN)/python -m pip config list | sed -n "s/.*\.index-url='\(.*\)'/\1/p" | tail -1)"; \
		$${index:+env UV_DEFAULT_INDEX="$$index"} \
		$(BIN)/uv pip install --python $(BIN)/python --require-hashes -r $(1) \
		|| { echo "uv cannot install them (see above): pip installs them" >&2; \
		$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r $(1); }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation \
		--editable .
	@touch $@
endef

# GraphiQL's files, verified by hash. Without npm the page loads the same files from a CDN.
.venv/.graphiql: $(GRAPHIQL)/package-lock.json .venv/.install
	@$(PYTHON) $(GRAPHIQL)/fetch.py || echo "GraphiQL will load from its CDN: npm could not fetch it (see above)" >&2
	@touch $@
