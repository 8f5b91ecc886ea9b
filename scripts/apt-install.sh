#!/usr/bin/env bash
# apt-install.sh COMMAND PACKAGE...: install Debian packages unless COMMAND is there already.
# Where that can't be done it says so; with CI set it is an error.
set -euo pipefail
command=$1
shift
if command -v "$command" >/dev/null 2>&1; then
    exit 0
fi
# Debian keeps the server's programs out of the path.
if [ "$command" = postgresql ] && ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; then
    exit 0
fi
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    if { apt-get update && apt-get install -y --no-install-recommends "$@"; } >"$log" 2>&1; then
        rm -f "$log"
        exit 0
    fi
    tail -n 20 "$log" >&2
    rm -f "$log"
fi
echo "not installed: $* (needs Debian and root); the tests that need it are skipped" >&2
[ -z "${CI:-}" ]
