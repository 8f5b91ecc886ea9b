#!/usr/bin/env bash
# Look every pinned dependency up in the advisory database. Needs the internet; says so when it
# has none, and then fails, for nothing was audited.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=build/tools
[ -x "$tools/bin/pip-audit" ] || { [ -x "$tools/bin/python" ] || scripts/venv.sh "$tools"; "$tools/bin/python" -m pip install --quiet pip-audit; }
"$tools/bin/pip-audit" --require-hashes --disable-pip --timeout 20 \
    -r requirements.txt || { echo "audit: not passed (advisories above, or no way to the database)" >&2; exit 1; }
