#!/usr/bin/env bash
# julia.sh FOLDER: unpack Julia there, from Debian 11, the last release that has it. Nothing is
# installed into the system; FOLDER/julia starts it. Where there is no apt it says so; with CI set
# that is an error.
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd)
[ -x "$folder/julia" ] && exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "not unpacked: julia (needs Debian's apt); the test that needs it is skipped" >&2
    [ -z "${CI:-}" ]
    exit
fi
apt=$folder/apt root=$folder/root
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$root"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] $mirror bullseye main" >"$apt/sources"
get() {
    apt-get -qq -o Dir::Etc::SourceList="$apt/sources" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$apt/lists" -o Dir::State::Status=/dev/null \
        -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=root "$@"
}
get update
get install --download-only --yes --no-install-recommends julia
# The system's own C library serves: two of them don't go together in a process.
rm -f "$apt"/cache/archives/libc6_*.deb
for package in "$apt"/cache/archives/*.deb; do dpkg-deb -x "$package" "$root"; done
rm -rf "$apt"
libraries=$(find "$root" -name '*.so*' -printf '%h\n' | sort -u | paste -sd :)
printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s/usr/bin/julia "$@"\n' "$libraries" "$root" >"$folder/julia"
chmod +x "$folder/julia"
