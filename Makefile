# demo, test, lint, bench and docs are all that a newcomer needs; each sets up what it uses.
#
#   make demo                      the main job, on this machine's own documentation
#   make test                      every check
#   make pytest ARGS='-k codec'    one part of them, with arguments
#   make torture                   the tests that damage and kill, with many more cases: hours
#   make fuzz                      every decoder and from_spec against many mutated inputs
#   make test-all-pythons          the built wheel under each other Python found here
#   make bench                     the tables of benches/README.md; PASSES=1 for a quick look
#   make bench-all-pythons         attribute access under each other Python found here
#
# PYTHON=python3.12 chooses the interpreter, VENV=dir the place of its environment.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
.NOTPARALLEL:

VENV ?= .venv
ARGS ?=
PASSES ?= 3
CARGO ?= cargo
bin := $(VENV)/bin
python := $(bin)/python
minimum_rust := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

# Printed for a tool that is missing, in one line, before anything else happens.
debian := on Debian: apt-get install
define need
command -v $(1) >/dev/null || { echo "$(1) is missing: $(2)" >&2; exit 1; }
endef

# pyo3 is compiled again whenever one of these changes, so cargo and maturin must agree on them.
pyo3_env = PYO3_PYTHON=$(abspath $(python)) PYTHON_SYS_EXECUTABLE=$(abspath $(python)) \
	PYO3_BUILD_EXTENSION_MODULE=1 PYO3_ENVIRONMENT_SIGNATURE=$$($(python) -c 'import platform, sys; \
	print("%s-%d.%d-64bit" % (platform.python_implementation().lower(), *sys.version_info[:2]))')
venv_env = env -u CONDA_PREFIX -u PYTHONHOME VIRTUAL_ENV=$(abspath $(VENV))
pip = $(python) -m pip --disable-pip-version-check --quiet
# No version check, no global node, no npm: only what the wheels brought.
pyright = PYRIGHT_PYTHON_IGNORE_WARNINGS=1 PYRIGHT_PYTHON_GLOBAL_NODE=0 $(python) -m pyright

bench_out := target/bench
bench = mkdir -p $(bench_out) && $(python) -m pytest -c benches/pytest.ini

rust_sources := Cargo.toml $(wildcard Cargo.lock) $(shell find rust/src -name '*.rs')

.PHONY: help demo test lint bench docs ext lint-python lint-rust rust-test stubtest pytest torture \
	fuzz frozen-store test-all-pythons test-wheel bench-all-pythons bench-wheel wheel audit clean need-rust \
	need-rust-lint FORCE

help:
	@sed -n 's/^# \?//p' Makefile | sed -n '1,/^PYTHON=/p'

# ------------------------------------------------------------------ what a newcomer runs

demo: ext
	$(python) -m dachi_fast demo $(ARGS)

test: lint rust-test stubtest pytest
	@echo "all checks passed on $$($(python) --version)"

lint: lint-python lint-rust

# Several passes over all benches, so that a mood of the machine falls on every row.
bench: ext $(VENV)/.bench
	rm -rf $(bench_out)
	for pass in $$(seq $(PASSES)); do \
		$(bench) benches --benchmark-json=$(bench_out)/pass-$$pass.json $(ARGS); \
	done
	$(python) benches/report.py benches/README.md $(bench_out)/*.json

docs: ext $(VENV)/.test
	$(python) -m pytest tests/test_docs.py $(ARGS)

# ------------------------------------------------------------------ the parts of `make test`

lint-python: $(VENV)/.lint
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m mypy
	$(pyright)
	PYTHONPATH=python $(bin)/lint-imports --no-logo

lint-rust: need-rust-lint $(VENV)/.build
	$(CARGO) fmt --check
	$(pyo3_env) $(CARGO) clippy --release --all-targets -- -D warnings
	$(CARGO) clippy --release --all-targets --no-default-features -- -D warnings

# Without pyo3 the tests link without Python, and all other crates are shared with the wheel.
rust-test: need-rust
	$(CARGO) test --release --no-default-features $(ARGS_RUST)

# Without a stub stubtest has nothing to compare and reports success.
stubtest: ext $(VENV)/.lint
	@test -f python/dachi_fast/_core/__init__.pyi || { \
		echo "python/dachi_fast/_core/__init__.pyi is missing: the core has no stubs" >&2; exit 1; }
	$(python) -m mypy.stubtest dachi_fast._core --mypy-config-file pyproject.toml \
		$(addprefix --allowlist ,$(wildcard tests/stubtest-allowlist.txt))

pytest: ext $(VENV)/.test
	$(python) -m pytest $(ARGS)

# These read DACHI_TORTURE; the time limit is for tests that are to be quick.
torture: need-rust ext $(VENV)/.test
	DACHI_TORTURE=1 $(CARGO) test --release --no-default-features --test corruption -- --nocapture
	DACHI_TORTURE=1 $(python) -m pytest tests/attacks tests/crash tests/test_store_properties.py \
		tests/test_ledger_fuzz.py --timeout=0 $(ARGS)
	$(MAKE) fuzz

# 10^6 runs of each decoder, 10^5 of from_spec; what asks for much memory is refused it, and fails.
fuzz: need-rust ext $(VENV)/.test
	ulimit -v 8000000; DACHI_TORTURE=1 $(CARGO) test --release --no-default-features --test fuzz --test fuzz_ledger -- --nocapture
	ulimit -v 8000000; DACHI_TORTURE=1 $(CARGO) test --release --no-default-features --lib of_any_bytes -- --nocapture
	ulimit -v 8000000; DACHI_TORTURE=1 $(python) -m pytest tests/test_spec_fuzz.py --timeout=0

# The store of this format in tests/compat: after every change of a format that is not frozen yet.
frozen-store: ext $(VENV)/.test
	$(python) -m tests.compat.generate

# A goal under every other Python here, with the wheel that users get.
define on_other_pythons
	@full='import platform; print(platform.python_version())'; \
	short='import sys; print("%d.%d" % sys.version_info[:2])'; \
	tried=; \
	for other in $${PYTHONS-$$(.ci/pythons)}; do \
		[ "$$("$$other" -c "$$full")" != "$$($(python) -c "$$full")" ] || continue; \
		tried=1; \
		$(MAKE) --no-print-directory $(1) PYTHON="$$other" \
			VENV=".venvs/$$("$$other" -c "$$short")"; \
	done; \
	[ -n "$$tried" ] || echo "no other Python found here"
endef

test-all-pythons: $(VENV)/.build
	$(call on_other_pythons,test-wheel)

# Attribute access differs from Python to Python; run `make bench` first.
bench-all-pythons: $(VENV)/.build
	$(call on_other_pythons,bench-wheel)
	$(python) benches/report.py benches/README.md $(bench_out)/*.json

wheel: $(VENV)/.test
	rm -rf $(VENV)/wheels
	$(venv_env) $(bin)/maturin build --release --quiet -i $(abspath $(python)) --out $(VENV)/wheels
	$(pip) install --force-reinstall --no-deps $(VENV)/wheels/*.whl
	$(pip) install "$$(echo $(VENV)/wheels/*.whl)[cli]"

# Without what attacks the core, which is the same for every Python, and takes half of the time.
test-wheel: wheel
	$(python) -m pytest --ignore=tests/attacks --ignore=tests/crash \
		--ignore=tests/test_store_properties.py $(ARGS)

bench-wheel: wheel $(VENV)/.bench
	$(bench) benches/attribute.py --benchmark-json=$(bench_out)/python-$(notdir $(VENV)).json $(ARGS)

# Licences, bans and sources of the Rust crates; needs cargo-deny, so it is no part of `test`.
audit:
	@$(call need,cargo-deny,cargo install cargo-deny)
	$(CARGO) deny --all-features check bans licenses sources

clean:
	rm -rf $(VENV) .venvs target python/dachi_fast/*.so

# ------------------------------------------------------------------ setting up

# The choice: $PYTHON, else the first of these that is new enough.
define choose_python
for candidate in $${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14}; do \
	"$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
	candidate=; \
done; \
[ -n "$$candidate" ] || { \
	echo "Python 3.11 or newer is missing: $(debian) python3 python3-venv" >&2; exit 1; }; \
"$$candidate" -c 'import ensurepip, venv' 2>/dev/null || { \
	echo "the venv module of $$candidate is missing: $(debian) python3-venv" >&2; exit 1; }
endef

# New pips know dependency groups, the one of a fresh Debian does not.
$(VENV)/.build: pyproject.toml
	@if ! $(python) -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		$(choose_python); \
		echo "setting up $(VENV) with $$("$$candidate" --version)"; \
		rm -rf $(VENV); \
		"$$candidate" -m venv $(VENV); \
	fi
	@$(pip) install --upgrade 'pip>=25.1'
	@$(pip) install --group build
	@touch $@

$(VENV)/.test: $(VENV)/.build
	@echo "installing what the tests need into $(VENV)"
	@$(python) -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
		print(*project["dependencies"], *project["optional-dependencies"]["cli"], sep="\n")' \
		> $(VENV)/requirements.txt
	@$(pip) install --group test --requirement $(VENV)/requirements.txt
	@$(pip) install --group native 2>/dev/null || \
		echo "hnswlib cannot be built without a C++ compiler and Python's headers: its tests are skipped"
	@touch $@

$(VENV)/.lint: $(VENV)/.test
	@echo "installing what the checks need into $(VENV)"
	@$(pip) install --group lint
	@touch $@

$(VENV)/.bench: $(VENV)/.test
	@$(pip) install --group bench
	@touch $@

# An editable install: the compiled core lies beside the Python sources, one file per Python.
ext: need-rust $(VENV)/.ext

$(VENV)/.ext: $(VENV)/.build $(rust_sources) $(if $(wildcard python/dachi_fast/_core*.so),,FORCE)
	@echo "building the core (about 2 minutes the first time)"
	PIP_QUIET=1 $(venv_env) $(bin)/maturin develop --release --extras cli --quiet
	@touch $@

need-rust:
	@$(call need,$(CARGO),install Rust $(minimum_rust) or newer with rustup)
	@have=$$($(CARGO) --version | cut -d' ' -f2); \
	printf '%s\n' $(minimum_rust) "$$have" | sort -VC || { \
		echo "cargo $$have is too old: install Rust $(minimum_rust) or newer with rustup" >&2; exit 1; }
	@$(call need,cc,$(debian) gcc libc6-dev)

need-rust-lint: need-rust
	@$(CARGO) fmt --version >/dev/null 2>&1 || { \
		echo "rustfmt is missing: rustup component add rustfmt" >&2; exit 1; }
	@$(CARGO) clippy --version >/dev/null 2>&1 || { \
		echo "clippy is missing: rustup component add clippy" >&2; exit 1; }

FORCE:
