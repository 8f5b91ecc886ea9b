#!/usr/bin/env bash
# Pin what the service, its tests, its cluster extra and its build need, with the hashes of
# all their files, for every platform and every Python from 3.11 on.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=build/tools
[ -x "$tools/bin/uv" ] || { [ -x "$tools/bin/python" ] || scripts/venv.sh "$tools"; "$tools/bin/python" -m pip install --quiet uv; }
compile() {
    "$tools/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-emit-index-url --no-emit-find-links --no-annotate "$@"
}
compile pyproject.toml --extra postgres --extra layout --output-file requirements.txt
compile pyproject.toml --extra dev --extra postgres --extra layout --extra jit --constraint requirements.txt \
    --output-file requirements-dev.txt
compile pyproject.toml --extra jit --constraint requirements-dev.txt \
    --output-file requirements-jit.txt
compile pyproject.toml --extra cluster --constraint requirements-dev.txt \
    --output-file requirements-cluster.txt
sed -n 's/^requires = \["\(.*\)"\]$/\1/p' pyproject.toml |
    compile - --output-file requirements-build.txt
