# The front door. `make` alone says what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run build packages test lint fmt deny doc bless image up down bench failover watch-cost compare audit faults kazoo differ fuzz simulate simulate-sessions

# The C++ of RocksDB is compiled once for each version and compiler, outside the checkout.
ROCKSDB = export ROCKSDB_STATIC=1 ROCKSDB_LIB_DIR="$$(deploy/build/rocksdb.sh)"
# Built apart, because everything below the sessions is another build of itself there.
SIMULATED = $(ROCKSDB) && RUSTFLAGS="--cfg simulation" CARGO_TARGET_DIR="$${CARGO_TARGET_DIR:-$(CURDIR)/target}/simulated" \
	cargo test --locked -p tests --test simulated
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
	@$(ROCKSDB) && cargo test --locked --workspace --no-run && \
		CORRAL_BIN="$${CARGO_TARGET_DIR:-$(CURDIR)/target}/debug/corral" cargo test --locked --workspace --no-fail-fast
	@$(SIMULATED) --profile dev

kazoo: packages ## kazoo's own tests: each that passes against ZooKeeper 3.9.5 must pass, with one member and three
	@deploy/build/packages.sh test
	@$(ROCKSDB) && cargo test --locked -p tests --test clients kazoos_own -- --nocapture

lint: fmt doc deny ## format, lints, docs, dependencies; changes nothing
	@$(ROCKSDB) && cargo clippy --locked --workspace --all-targets -- -D warnings

fmt:
	@cargo fmt --all --check

doc: packages
	@$(ROCKSDB) && RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet

deny:
	@command -v cargo-deny >/dev/null || cargo install --locked --quiet cargo-deny
	@cargo deny --log-level error check bans licenses sources

bless: packages ## accept the golden traces, and the table of keys, as they come out now; then read the diff
	@$(ROCKSDB) && UPDATE_GOLDENFILES=1 cargo test --locked -p machine --test trace
	@$(ROCKSDB) && UPDATE_GOLDENFILES=1 cargo test --locked -p tests --test watches
	@$(ROCKSDB) && UPDATE_GOLDENFILES=1 cargo test --locked -p node --lib the_readme_tells_of_every_key

apache: packages ## what clients print, and which of kazoo's tests pass, against ZooKeeper itself, written anew; then read the diff
	@deploy/build/packages.sh test
	@$(ROCKSDB) && CORRAL_GOLDEN_FROM_APACHE=1 cargo test --locked -p tests --test clients -- zkcli the_c_client kazoos_own
	@$(ROCKSDB) && CORRAL_GOLDEN_FROM_APACHE=1 cargo test --locked -p tests --test admin -- forms

image: build ## the container image corral:latest, made from scratch
	@deploy/docker/context.sh
	@docker build --quiet --tag corral:latest deploy/docker

up: image ## three members in containers, clients on ports 2181 to 2183
	@$(COMPOSE) up --detach --no-build
	@deploy/docker/wait-healthy.sh

down: ## the containers end; their volumes stay (add -v to the compose command to drop them)
	@$(COMPOSE) down

bench: packages ## what single paths cost, without a cluster: minutes, once it is built (BENCH="restore --sample-count 50")
	@$(ROCKSDB) && cargo bench --locked -p proto -p machine -p consensus --bench '*' -- $(BENCH)

failover: build ## kill the leader 20 times under load and print the gaps (FAILOVER="--fault freeze --times 50 --tree 1000000")
	@$(ROCKSDB) && CORRAL_BIN=$(CURDIR)/target/release/corral cargo run --locked --release -p tests --bin failover-gap -- $(FAILOVER)

watch-cost: build ## reads without watches and with, side by side
	@$(ROCKSDB) && CORRAL_BIN=$(CURDIR)/target/release/corral cargo run --locked --release -p tests --bin watch-cost

compare: build ## ZooKeeper 3.9.5 and Corral under the same load in turn, tests/bench/REPORT.md: an hour and a half (COMPARE="--rows set-32,get-32 --turns 1")
	@$(ROCKSDB) && CORRAL_BIN=$(CURDIR)/target/release/corral cargo run --locked --release -p tests --bin side-by-side -- $(COMPARE)

audit: build ## whether every watch event is told, while members are killed 200 times: half an hour (AUDIT="--seconds 60")
	@$(ROCKSDB) && CORRAL_BIN=$(CURDIR)/target/release/corral cargo run --locked --release -p tests --bin watch-auditor -- \
		$(or $(AUDIT),--kills 200)

faults: build ## members killed, frozen, parted and slowed down while every answer is checked: ten minutes (FAULTS="--minutes 240 --kinds kill,halves")
	@$(ROCKSDB) && CORRAL_BIN=$(CURDIR)/target/release/corral cargo run --locked --release -p tests --bin faults -- $(FAULTS)

differ: build ## the same requests to ZooKeeper 3.9.5 and to Corral, every answer compared: an hour (DIFFER="--seeds 20")
	@$(ROCKSDB) && CORRAL_BIN=$(CURDIR)/target/release/corral cargo run --locked --release -p tests --bin differ -- \
		$(or $(DIFFER),--seeds 1000 --requests 1000 --pairs 2)

simulate: packages ## ensembles in simulated time, by seeds, with faults of every kind (SEED=0 SEEDS=100000 THREADS=2 FOR=seconds; one again: SEED=17 SEEDS=1 ALOUD=1)
	@$(ROCKSDB) && CORRAL_SEED=$(or $(SEED),0) CORRAL_SEEDS=$(or $(SEEDS),100000) CORRAL_THREADS=$(or $(THREADS),2) \
		$(if $(FOR),CORRAL_SECONDS=$(FOR)) $(if $(ALOUD),CORRAL_ALOUD=1) \
		cargo test --locked --profile simulation -p consensus --lib -- --nocapture simulation::tests::whatever_fails

simulate-sessions: packages ## the same with clients that speak their protocol to simulated members, and all they are told checked (SEED= SEEDS= THREADS= FOR= ALOUD=1)
	@export CORRAL_SEED=$(or $(SEED),0) CORRAL_SEEDS=$(or $(SEEDS),100000) CORRAL_THREADS=$(or $(THREADS),2) \
		$(if $(FOR),CORRAL_SECONDS=$(FOR)) $(if $(ALOUD),CORRAL_ALOUD=1) && \
		$(SIMULATED) --profile simulation -- --nocapture whatever_fails

fuzz: packages ## what decodes bytes from outside, fed with what a fuzzer makes up, ten minutes each (FUZZ="60" for a minute)
	@command -v cargo-fuzz >/dev/null || cargo install --locked --quiet cargo-fuzz
	@$(ROCKSDB) && for target in frames greeting requests multi entries config; do \
		mkdir -p tests/fuzz/corpus/$$target; \
		case $$target in entries|config) features="--features server";; *) features="";; esac; \
		cargo fuzz run --fuzz-dir tests/fuzz --sanitizer none $$features $$target \
			tests/fuzz/corpus/$$target tests/fuzz/seeds/$$target -- -max_total_time=$(or $(FUZZ),600) -max_len=65536 || exit 1; \
	done
