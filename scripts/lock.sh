#!/usr/bin/env bash
# Pin the core and the development dependencies, with the hashes of their files.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=build/lock
[ -x "$tools/bin/uv" ] || { python3 -m venv "$tools" && "$tools/bin/pip" install --quiet uv; }
compile() {
    "$tools/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-emit-index-url --no-emit-find-links --no-annotate "$@"
}
compile pyproject.toml --extra postgres --output-file requirements.txt
compile pyproject.toml --extra dev --extra postgres --constraint requirements.txt \
    --output-file requirements-dev.txt
