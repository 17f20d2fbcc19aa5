# `just` lists what can be done. Nothing here is needed: each recipe is a plain command.

_:
    @just --list --unsorted

# everything that must hold before a change lands; CI runs the same
check:
    scripts/test

# the tests alone
test *ARGS:
    cargo test --workspace --locked {{ARGS}}

# the daemon with made-up agents and visitors, and a live feed of its decisions
dev:
    cargo run --release -- dev

# the seeded simulation alone
sim *ARGS:
    cargo test --locked --test simulation {{ARGS}}

# the load generator against a daemon that it starts itself: just load steady
load SCENARIO *ARGS:
    cargo build --release --locked --workspace
    cargo run --release --locked --package maitred-loadtest -- run {{SCENARIO}} --spawn {{ARGS}}

# micro benchmarks, one file per question: just bench codec
bench *ARGS:
    cargo bench --locked --package maitred {{ARGS}}

# the map against the code
map:
    cargo test --locked --test tidy
