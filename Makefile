# The one entry point, for people and for CI.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
BIN := .venv/bin
RUST := $(shell find rust -name '*.rs' -o -name Cargo.toml) Cargo.toml Cargo.lock
export UV_PROJECT_ENVIRONMENT := .venv
# No questions to the network about newer versions, and no usage data.
export LIGHTNING_DISABLE_VERSION_CHECK := 1
export ZENML_ANALYTICS_OPT_IN := false
unexport VIRTUAL_ENV

.PHONY: help setup demo conformance test test-rust test-python readers test-repeat test-strict test-oldest test-readme test-moving \
	test-sdk-range test-python-range check-targets sbom test-browser test-images faults faults-smoke kills soak lint format bench \
	docs fuzz fuzz-smoke fuzz-smoke-rust fuzz-smoke-python fuzz-build audit clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.built ## Create .venv and build the Rust core into it

.venv/.synced: pyproject.toml uv.lock
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	$(BIN)/uv sync --quiet --frozen --inexact --no-install-project --all-extras --compile-bytecode
	@touch $@

.venv/.built: .venv/.synced $(RUST)
	$(BIN)/maturin develop --quiet --release --uv
	@touch $@

demo: setup ## Run a real pipeline on a Lightning cloud on this machine
	@$(BIN)/python -m lightning_native demo

conformance: setup ## Compare a local cloud with what is assumed about the platform
	@$(BIN)/python -m lightning_native conformance --local

test: setup test-rust test-python ## Run the tests, of those that take long a share that is another each day; all with SPREAD=all

test-rust:
	cargo test --workspace --release --quiet

# Tests wait for machines more than they compute, so one more than there are cores.
TEST_PROCESSES ?= $(shell expr $$(nproc) + 1)

SPREAD ?= day

test-python: .venv/.built readers
	SPREAD=$(SPREAD) $(BIN)/python -m pytest --numprocesses=$(TEST_PROCESSES) --dist=worksteal

# Programs with which tests read archives and connect machines; without the right to install them, those tests are skipped.
readers:
	@which bsdtar busybox pigz igzip slirp4netns > /dev/null || test $$(id -u) != 0 || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends libarchive-tools busybox pigz isal slirp4netns; } \
	    > /dev/null || echo "tests that need bsdtar, busybox, pigz, igzip or slirp4netns are skipped"

kills: .venv/.built ## Kill a process of a run at each named point, and print what brought the run to rest
	$(BIN)/python -m pytest --numprocesses=$(TEST_PROCESSES) --dist=worksteal tests/kills

REPETITIONS ?= 10

test-repeat: .venv/.built ## Run eight parallel steps with each store of ZenML, REPETITIONS times, and count
	@passed=0; for number in $$(seq $(REPETITIONS)); do \
	  if $(BIN)/python -m pytest --quiet tests/zenml/test_server.py; then passed=$$((passed + 1)); fi; \
	  echo "$$passed of $$number passed, of $(REPETITIONS)"; \
	done; test $$passed = $(REPETITIONS)

STRICT ?= tests

test-strict: .venv/.built readers ## Run pipelines, schedules, workflows, jobs and budgets as on the platform (asks the package index)
	$(BIN)/python -m pytest -m 'strict or platform' --numprocesses=$(TEST_PROCESSES) --dist=worksteal $(STRICT)

OLDEST_ZENML ?= 0.94.0

test-oldest: setup ## Run a pipeline with the oldest ZenML that the flavor works with (asks the package index)
	test -x .venv-oldest/bin/python || $(PYTHON) -m venv .venv-oldest
	rm -rf .venv-oldest/wheels
	$(BIN)/maturin build --quiet --release --out .venv-oldest/wheels
	$(BIN)/uv pip install --quiet --python .venv-oldest/bin/python --reinstall-package lightning-native \
	  "$$(echo .venv-oldest/wheels/*.whl)[zenml,emulator]" 'zenml[local]==$(OLDEST_ZENML)'
	.venv-oldest/bin/python tests/oldest/run.py

test-readme: .venv/.built ## Run README's commands word for word in a fresh environment (asks the package index)
	$(BIN)/python tests/moving/run_readme.py

test-moving: .venv/.built ## Run the demo as other users, behind a proxy, in odd folders, … (as root; asks the package index)
	rm -rf .moving
	$(BIN)/maturin build --quiet --release --out .moving
	$(BIN)/python -m pytest tests/moving $(MOVING)

# The first of 2026 and one of May, for users' own scripts; then the oldest, a middle and the newest for the engine.
SDK_VERSIONS ?= 2026.1.22 2026.5.21 2026.8.18 2026.9.18 2026.10.13
SDK_PYTHON ?= $(PYTHON)

test-sdk-range: setup ## Run the local cloud and the engine with versions of lightning-sdk (asks the package index)
	rm -rf .venv-range/wheels
	$(BIN)/maturin build --quiet --release --out .venv-range/wheels
	$(BIN)/python tests/sdk_range/run.py $(BIN)/uv .venv-range/wheels/*.whl .venv-range $(SDK_PYTHON) $(SDK_VERSIONS)

test-python-range: setup ## Install the wheel and the sources with each Python that is here (asks the package index)
	rm -rf .venv-range/packages
	$(BIN)/maturin build --quiet --release --sdist --out .venv-range/packages
	CARGO_TARGET_DIR=$(CURDIR)/target $(BIN)/python tests/python_range/run.py $(BIN)/uv .venv-range/packages .venv-range 3.10 3.11 3.12 3.13

TARGETS := aarch64-unknown-linux-gnu aarch64-apple-darwin x86_64-apple-darwin

# Only Rust is compiled for them: no C compiler for them is needed, and none of its objects is linked.
check-targets: ## Compile the Rust core for the other machines of the wheels, as far as their standard libraries are here
	rustup target add --quiet $(TARGETS) 2>/dev/null || true
	for target in $(TARGETS); do \
	  test -d "$$(rustc --print sysroot)/lib/rustlib/$$target/lib" || { echo "$$target cannot be had here: skipped"; continue; }; \
	  CC=true AR=true PYO3_CROSS_PYTHON_VERSION=3.10 cargo check --workspace --release --quiet --target $$target && echo "$$target compiles"; \
	done

sbom: setup ## Write the bills of materials, in CycloneDX, of the Rust core and of the extras' Python packages to .sbom/
	rm -rf .sbom
	$(BIN)/maturin build --quiet --release --out .sbom
	$(BIN)/python -m zipfile -e .sbom/*.whl .sbom/wheel
	mv .sbom/wheel/*.dist-info/sboms/*.json .sbom/rust.cyclonedx.json
	rm -r .sbom/wheel .sbom/*.whl
	$(BIN)/uv export --quiet --frozen --no-dev --extra demo --format cyclonedx1.5 --output-file .sbom/python.cyclonedx.json

FAULTS ?= --table docs/reliability.md

faults: .venv/.built ## Cross every remote operation with every fault, in real runs, and write docs/reliability.md
	$(BIN)/python -m tests.faults --at-once $(CELLS_AT_ONCE) $(FAULTS)

# Cells wait more than they compute.
CELLS_AT_ONCE ?= $(shell expr $$(nproc) '*' 2)

faults-smoke: .venv/.built
	$(BIN)/python -m tests.faults --at-once $(CELLS_AT_ONCE) --spread 60

soak: .venv/.built ## Run 2,000 times in memory and 50 times on a local cloud with faults, and watch what grows
	$(BIN)/python -m tests.soak

test-browser: .venv/.built ## Test the local cloud's page in a real browser
	command -v chromium > /dev/null || (apt-get update -qq && apt-get install -qq --no-install-recommends chromium > /dev/null)
	$(BIN)/python -m pytest tests/browser

test-images: .venv/.built ## Have ZenML build the images of a pipeline (as root; asks Debian and the package index)
	{ command -v podman && command -v debootstrap; } > /dev/null || \
	  { apt-get update -qq && apt-get install -qq --no-install-recommends podman debootstrap; } > /dev/null
	rm -rf .images
	$(BIN)/maturin build --quiet --release --out .images
	$(BIN)/python -m pytest tests/images

docs: .venv/.built ## Build the documentation's site in .site/; a broken link ends it
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir .site

lint: setup ## Check style, types, stubs, layers and Rust lints
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest lightning_native._native
	$(BIN)/lint-imports
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --release --quiet -- -D warnings

format: setup ## Format all code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	cargo fmt --all

FUZZ_SECONDS ?= 600

FUZZ_SMOKE_SECONDS ?= 30
FUZZ_TARGETS := archive cache checkout dag extract names requirements deflate
# `-s none` needs no nightly compiler. Its arguments are a target, then libFuzzer's own.
FUZZ := cargo fuzz run --fuzz-dir rust/fuzz -s none

fuzz: fuzz-build ## Fuzz each native verb for FUZZ_SECONDS
	for target in $(FUZZ_TARGETS); do \
	  $(FUZZ) $$target -- -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=4000; \
	done

audit: setup ## Search for known vulnerabilities, unfit licences and unfit sources, and report what cannot be checked here
	cargo deny --version > /dev/null 2>&1 || cargo install cargo-deny --locked --quiet
	$(BIN)/python .ci/audit.py $(BIN)/uv

fuzz-smoke: fuzz-smoke-rust fuzz-smoke-python ## Fuzz everything that reads input of others, each for FUZZ_SMOKE_SECONDS

fuzz-smoke-rust: fuzz-build
	printf '%s\n' $(FUZZ_TARGETS) | xargs -P 2 -I{} \
	  $(FUZZ) {} -- -max_total_time=$(FUZZ_SMOKE_SECONDS) -timeout=20 -rss_limit_mb=4000 -verbosity=0 -print_funcs=0

fuzz-smoke-python: .venv/.built
	FUZZ_SECONDS=$(FUZZ_SMOKE_SECONDS) $(BIN)/python -m pytest --numprocesses=2 tests/fuzz

fuzz-build:
	cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --quiet
	mkdir -p $(FUZZ_TARGETS:%=rust/fuzz/corpus/%)
	cargo fuzz build --fuzz-dir rust/fuzz -s none

bench: setup ## Measure the native verbs beside their peers and write benches/results.json
	$(BIN)/uv pip install --quiet --python $(BIN)/python 'rustworkx>=0.17'
	command -v pigz >/dev/null || { apt-get update -qq && apt-get install -y -qq pigz; } >/dev/null
	$(BIN)/python benches/run.py

clean: ## Remove the files that setup, the demo and the ranges created
	rm -rf .venv .venv-oldest .venv-range .images .moving .sbom .site target .demo
