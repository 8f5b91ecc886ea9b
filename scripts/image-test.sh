#!/usr/bin/env bash
# Build the image without a container engine, run its command as its user with its environment,
# ask it for a gradient, run its health check, stop it.
#
# The base image is stood in for: a Debian made by mmdebstrap, with Python from Debian, under
# the upstream image's name. So the Dockerfile is built as it stands, where no registry of
# images can be reached. Needs Debian and root; everything it makes is under build/image.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$PWD/build/image
port=${PORT:-8765}
export BUILDAH_ISOLATION=chroot

[ "$(id -u)" = 0 ] || { echo "image-test needs root (it makes a Debian and changes into it)" >&2; exit 1; }
for command in buildah mmdebstrap curl; do
    CI=true scripts/apt-install.sh "$command" "$command"
done
mkdir -p "$work"
in_store() { # in_store VERB ARGUMENT...: buildah with a store of this test's own
    buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"
}

image=$(sed -n 's/^FROM \([^ ]*\) AS build$/\1/p' Dockerfile)
if ! in_store inspect --type image "docker.io/library/$image" >/dev/null 2>&1; then
    [ -f "$work/base.tar" ] || mmdebstrap --variant=minbase \
        --include=python3,python3-venv,python3-pip,ca-certificates \
        --customize-hook='ln -sf /usr/bin/python3 "$1/usr/local/bin/python"' \
        bookworm "$work/base.tar" >"$work/mmdebstrap.log" 2>&1 ||
        { tail -n 20 "$work/mmdebstrap.log" >&2; rm -f "$work/base.tar"; exit 1; }
    base=$(in_store from scratch)
    in_store add "$base" "$work/base.tar" / >/dev/null
    in_store commit -q "$base" "docker.io/library/$image" >/dev/null
    in_store rm "$base" >/dev/null
fi

# What the machine's pip is set up with is lent to the build as a mounted file: nothing of it
# gets into the image.
python3 -m pip config list 2>/dev/null | python3 -c '
import re, sys
stated = {}
for line in sys.stdin:
    if found := re.match(r"[^ ]*\.([a-z-]+)=.(.*).$", line):
        stated[found[1]] = found[2]
print("[global]", *(" = ".join(one) for one in stated.items()), sep="\n")
' >"$work/pip.conf"
mounts=(--volume "$work/pip.conf:/etc/pip.conf:ro")
while read -r path; do
    if [ -e "$path" ]; then mounts+=(--volume "$path:$path:ro"); fi
done < <(grep -oE '(= |file://)/[^ ]+' "$work/pip.conf" | sed -E 's,^(= |file://),,; s,(/simple)/*$,,' | sort -u)
started=$SECONDS
in_store build --quiet --isolation chroot --pull-never --network host --format docker \
    "${mounts[@]}" --tag gradient-service . >"$work/build.log" 2>&1 ||
    { tail -n 40 "$work/build.log" >&2; exit 1; }
echo "built in $((SECONDS - started)) s"

# The command, environment, user, folder and health check are the image's own.
in_store inspect --type image gradient-service >"$work/config.json"
eval "$(python3 - "$work/config.json" <<'PYTHON'
import json, shlex, sys

config = json.load(open(sys.argv[1]))["Docker"]["config"]
assert config["User"] == "10001:10001", config["User"]
assert config["Healthcheck"]["Test"][0] == "CMD", config["Healthcheck"]
assert not any(one.startswith(("PIP_FIND", "PIP_INDEX", "PIP_CERT")) for one in config["Env"])
for name, words in [
    ("environment", config["Env"]),
    ("command", config["Cmd"]),
    ("health", config["Healthcheck"]["Test"][1:]),
]:
    print(f"{name}=({shlex.join(words)})")
print(f"folder={shlex.quote(config['WorkingDir'])}")
PYTHON
)"

container=$(in_store from --pull-never gradient-service)
root=$(in_store mount "$container")
inside() { # inside COMMAND ARGUMENT...: in the image, as its user, with its environment
    exec chroot --userspec=10001:10001 "$root" /usr/bin/env -i "${environment[@]}" GRADIENT_HOST=127.0.0.1 \
        GRADIENT_PORT="$port" sh -c 'cd "$0" && exec "$@"' "$folder" "$@"
}
# The server runs as the manifests run it: on a root that can't be written to.
read_only='mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && mount -t tmpfs tmpfs "$0/tmp" &&
    mount -t tmpfs -o uid=10001,gid=10001 tmpfs "$0/var/lib/gradient"'
sealed() { # sealed COMMAND ARGUMENT...: like inside, with the root read-only
    exec unshare --mount sh -c "$read_only"' && shift && exec chroot --userspec=10001:10001 "$0" /usr/bin/env -i "$@"' \
        "$root" "$folder" "${environment[@]}" GRADIENT_HOST=127.0.0.1 GRADIENT_PORT="$port" \
        sh -c 'cd "$0" && if touch /var/tmp/probe 2>/dev/null; then echo "the root is writable"; exit 1; fi; exec "$@"' "$folder" "$@"
}
kind=sealed sealed_note=" on a read-only root"
unshare --mount true 2>/dev/null || { kind=inside sealed_note=" (on a writable root: no mounts here)"; }
server=
finish() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    in_store umount "$container" >/dev/null
    in_store rm "$container" >/dev/null
}
trap finish EXIT
("$kind" "${command[@]}") >"$work/serve.log" 2>&1 &
server=$!
ready=
for _ in $(seq 150); do
    if curl -fs "http://127.0.0.1:$port/readyz" >/dev/null 2>&1; then ready=yes; break; fi
    kill -0 "$server" 2>/dev/null || break
    sleep 0.2
done
[ -n "$ready" ] || { echo "the server did not start" >&2; cat "$work/serve.log" >&2; exit 1; }

answer=$(curl -fsS "http://127.0.0.1:$port/v1/gradient" -H 'content-type: application/json' \
    -d '{"graph":{"expression":"(x + y) * z"},"inputs":{"x":-2,"y":5,"z":-4},"values":"output"}')
echo "$answer"
grep -qF '"gradients":{"x":-4.0,"y":-4.0,"z":3.0}' <<<"$answer"
grep -qF '"value":-12.0' <<<"$answer"
(inside "${health[@]}") || { echo "the health check failed" >&2; exit 1; }
[ "$(ps -o uid= -p "$server" | tr -d ' ')" = 10001 ] || { echo "runs as another user" >&2; exit 1; }
workers=$(pgrep -c -P "$server" -f spawn_main || true)
kill "$server"
code=0
wait "$server" || code=$?
server=
[ "$code" = 0 ] || { echo "SIGTERM: it ended with $code" >&2; tail -n 5 "$work/serve.log" >&2; exit 1; }
if (inside "${health[@]}") 2>/dev/null; then echo "the health check passes without a server" >&2; exit 1; fi
echo "the image was built, ran as uid 10001 with $workers workers${sealed_note}, answered, was healthy, and stopped when told; $(du -sm "$root/opt/gradient" | cut -f1) MB of packages"
