# The front door. `make` alone says what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run build packages test lint fmt deny doc bless image up down failover watch-cost audit

# The C++ of RocksDB is compiled once for each version and compiler, outside the checkout.
ROCKSDB = export ROCKSDB_STATIC=1 ROCKSDB_LIB_DIR="$$(deploy/build/rocksdb.sh)"
COMPOSE = $$(docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

run: build ## three members on loopback, in this terminal; Ctrl-C ends them
	@exec target/release/corral ensemble

packages:
	@deploy/build/packages.sh build

build: packages ## the binary, target/release/corral
	@$(ROCKSDB) && CORRAL_BUILT_ON="$$(git log -1 --format=%cd --date=iso-strict 2>/dev/null || true)" \
		cargo build --locked --release -p node

test: packages ## all tests, with real processes and real clients
	@deploy/build/packages.sh test
	@$(ROCKSDB) && cargo test --locked --workspace

lint: fmt doc deny ## format, lints, docs, dependencies; changes nothing
	@$(ROCKSDB) && cargo clippy --locked --workspace --all-targets -- -D warnings

fmt:
	@cargo fmt --all --check

doc: packages
	@$(ROCKSDB) && RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet

deny:
	@command -v cargo-deny >/dev/null || cargo install --locked --quiet cargo-deny
	@cargo deny --log-level error check bans licenses sources

bless: packages ## accept the golden traces as they come out now; then read the diff
	@$(ROCKSDB) && UPDATE_GOLDENFILES=1 cargo test --locked -p machine --test trace
	@$(ROCKSDB) && UPDATE_GOLDENFILES=1 cargo test --locked -p tests --test watches

apache: packages ## what zkCli.sh prints against ZooKeeper itself, written anew; then read the diff
	@deploy/build/packages.sh test
	@$(ROCKSDB) && CORRAL_GOLDEN_FROM_APACHE=1 cargo test --locked -p tests --test clients zkcli

image: build ## the container image corral:latest, made from scratch
	@deploy/docker/context.sh
	@docker build --quiet --tag corral:latest deploy/docker

up: image ## three members in containers, clients on ports 2181 to 2183
	@$(COMPOSE) up --detach --no-build
	@deploy/docker/wait-healthy.sh

down: ## the containers end; their volumes stay (add -v to the compose command to drop them)
	@$(COMPOSE) down

failover: build ## kill the leader 20 times under load and print the gaps
	@$(ROCKSDB) && CORRAL_BIN=$(CURDIR)/target/release/corral cargo run --locked --release -p tests --bin failover-gap

watch-cost: build ## reads without watches and with, side by side
	@$(ROCKSDB) && CORRAL_BIN=$(CURDIR)/target/release/corral cargo run --locked --release -p tests --bin watch-cost

audit: build ## whether every watch event is told, while members are killed 200 times: half an hour (AUDIT="--seconds 60")
	@$(ROCKSDB) && CORRAL_BIN=$(CURDIR)/target/release/corral cargo run --locked --release -p tests --bin watch-auditor -- \
		$(or $(AUDIT),--kills 200)
