# Everything that is done to this project, by one word each. `make` alone lists the words.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test lint bench faults build docs release setup

# Where cargo puts what it builds.
TARGET := $(or $(CARGO_TARGET_DIR),target)

# Further arguments of the demo: make demo ARGS="--for 20s --json"
ARGS ?=

# Which part `make bench` measures, instead of all of them, and whether it may be rough: make bench FAMILY=queue QUICK=1
FAMILY ?=
QUICK ?=

# Which fault `make faults` brings about, instead of all of them, how often, and from which seed:
# make faults CASE=kill ROUNDS=100 SEED=7
CASE ?=
ROUNDS ?=
SEED ?=

help:
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: build ## see it at work, on a Redis, a Postgres and real data of its own
	@$(TARGET)/debug/brasa demo $(ARGS)

# `with-servers` is one of the things that are built, and one Redis and one Postgres serve the whole run. nextest does
# not run the examples of the documentation.
test: setup ## run every test, on a Redis and a Postgres of their own
	@scripts/setup --for-tests
	@cargo build --workspace --all-targets --locked
	@if cargo nextest --version >/dev/null 2>&1; \
	then $(TARGET)/debug/with-servers cargo nextest run --workspace --locked && \
	cargo test --workspace --locked --doc; \
	else $(TARGET)/debug/with-servers cargo test --workspace --locked; fi

lint: ## check the format, the lints, the documentation and the dependencies
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --locked -- -D warnings
	@RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
	@if cargo deny --version >/dev/null 2>&1; \
	then cargo deny --locked check; \
	else echo "lint: cargo-deny is not installed, so licences and advisories were not checked"; fi

bench: setup ## measure how fast it is: make bench [FAMILY=queue] [QUICK=1]
	@cargo bench --locked --package brasa-tests --bench bench -- $(FAMILY) $(if $(QUICK),--quick)

faults: setup ## kill, freeze and starve it: make faults [CASE=kill] [ROUNDS=100] [SEED=7]
	@cargo build --locked --package brasa-tests --bins
	@$(TARGET)/debug/with-servers $(TARGET)/debug/faults $(CASE) $(if $(ROUNDS),--rounds $(ROUNDS)) \
	$(if $(SEED),--seed $(SEED))

build: setup ## build the program, for debugging
	@cargo build --locked

docs: ## build the documentation of the code
	@cargo doc --workspace --no-deps --locked
	@echo "docs: open $(TARGET)/doc/brasa/index.html"

release: ## build what is handed out, with a list of what is in it and hashes, signed if BRASA_RELEASE_KEY names a key
	@scripts/release

setup:
	@scripts/setup
