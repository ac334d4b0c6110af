# `make` alone lists what there is. What takes more than a line is a script under scripts/.
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help demo up dev-cluster slipway build test bench instructions fmt lint doc docs deny check services-stop clean clean-tools

export PATH := $(CURDIR)/.tools/bin:$(PATH)
# Nothing where the system has libpq; else the flags that build it from source.
LIBPQ = $(shell scripts/libpq-features)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Build, start, deploy an example, call it, explain each step (ONCE=1: end afterwards)
	@scripts/demo $(if $(ONCE),--once)

up: ## Run the whole platform in one process (data in .slipway)
	@scripts/prerequisites && cargo run --release -p slipway $(LIBPQ) -- up

dev-cluster: ## Run the six services as processes of their own, on PostgreSQL and RabbitMQ
	@scripts/prerequisites && SLIPWAY_TEST_SERVICES_NAME=cluster-services scripts/services run scripts/dev-cluster

slipway: ## Build the slipway program alone, as the demo does (target/demo/slipway)
	@scripts/prerequisites && cargo build --profile demo -p slipway $(LIBPQ)

build: ## Build all seven binaries for release
	@scripts/prerequisites && cargo build --release --workspace --bins $(LIBPQ)

test: ## Run every test, with PostgreSQL and RabbitMQ found or started (ARGS="-p slipway-auth": only those)
	@scripts/prerequisites && scripts/services run scripts/test $(ARGS)

fuzz: ## Fuzz what is parsed here, TIME seconds for each target (TIME=60; ARGS="-p slipway-v1api": only that crate's)
	@scripts/fuzz "$(or $(TIME),60)" $(ARGS)

bench: ## Measure start, memory and the gateway beside nginx and HAProxy (ARGS="--rounds 3")
	@scripts/bench $(ARGS)

instructions: ## Count the instructions of a call in the gateway under valgrind (ARGS=--record: keep the figure)
	@scripts/bench-instructions $(ARGS)

fmt: ## Format the code
	@cargo fmt --all

lint: ## Clippy, with warnings as errors
	@cargo clippy --workspace --all-targets $(LIBPQ) -- -D warnings

doc: ## Build the documentation, with broken links as errors
	@RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --workspace --no-deps --document-private-items $(LIBPQ)

docs: ## Write docs/asyncapi.json anew, from the event types
	@SLIPWAY_TEST_UPDATE=1 cargo test --quiet -p slipway-common asyncapi

deny: ## Check the dependencies' licences, bans and sources
	@scripts/prerequisites --checks && cargo deny check licenses bans sources

check: ## Everything that a change has to pass, as continuous integration runs it
	@bash .ci/run

services-stop: ## Stop the private PostgreSQL and RabbitMQ, where a run left them
	@scripts/services stop

clean: ## Remove what was built
	@cargo clean

clean-tools: services-stop ## Remove what the scripts installed or keep under .tools
	@rm -rf .tools
