#!/usr/bin/env bash
# Look every pinned dependency up in the advisory database of the package index: by pip-audit, and
# where that gets no answer (from a mirror, say) package by package. What can't be looked up fails.
# With ADVISORIES=FOLDER they are held to a copy of a database, which its reader keeps up to date.
set -euo pipefail
cd "$(dirname "$0")/.."
locks=(requirements.txt requirements-build.txt requirements-dev.txt requirements-cluster.txt)
if [ -n "${ADVISORIES:-}" ]; then
    exec .venv/bin/python scripts/audit.py "$ADVISORIES" "${locks[@]}"
fi
tools=build/tools
[ -x "$tools/bin/pip-audit" ] || { [ -x "$tools/bin/python" ] || scripts/venv.sh "$tools"; "$tools/bin/python" -m pip install --quiet pip-audit; }
code=0
for lock in "${locks[@]}"; do
    echo "== $lock"
    # --strict: a dependency that can't be looked up is a failure, not a line among others.
    "$tools/bin/pip-audit" --strict --require-hashes --disable-pip --progress-spinner off \
        --timeout 20 -r "$lock" || code=1
done
if [ "$code" != 0 ]; then
    echo "== pip-audit did not pass (advisories above, or no way to them): asking package by package"
    exec .venv/bin/python scripts/audit.py index "${locks[@]}"
fi
