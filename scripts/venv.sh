#!/usr/bin/env bash
# venv.sh FOLDER: make a virtual environment with pip in it, with PYTHON if that is set, else
# with the first Python 3.11 or later on the path. Says what is missing where it can't.
set -euo pipefail
folder=$1

fits() {
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        if fits "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    echo "Python 3.11 or later is needed and was not found (looked for: ${PYTHON:-python3, python3.11 to 3.14})." >&2
    echo "Debian: apt-get install python3 python3-venv. macOS: the installer of python.org, or Homebrew's python." >&2
    echo "Or name it: make PYTHON=/path/to/python3" >&2
    return 1
}

has_venv() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

python=$(find_python)

# Debian keeps venv's pip in a package of its own.
if ! has_venv "$python" && command -v apt-get >/dev/null 2>&1; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    install="apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python$version-venv"
    echo "$python has no ensurepip: installing Debian's python$version-venv" >&2
    if [ "$(id -u)" = 0 ]; then
        sh -c "$install" >/dev/null 2>&1 || true
    elif command -v sudo >/dev/null 2>&1; then
        sudo -n sh -c "$install" >/dev/null 2>&1 || true
    fi
fi

if has_venv "$python"; then
    "$python" -m venv "$folder"
elif command -v uv >/dev/null 2>&1; then
    uv venv --quiet --seed --python "$python" "$folder"
elif command -v virtualenv >/dev/null 2>&1; then
    virtualenv --quiet --python "$python" "$folder"
else
    echo "$python can't make a virtual environment: its module ensurepip is missing." >&2
    echo "Debian, as root: apt-get install python3-venv. Then run make again." >&2
    exit 1
fi
"$folder/bin/python" -m pip --version >/dev/null
