#!/usr/bin/env bash
# Build the image without a container engine, run its command as its user, ask it for a gradient.
#
# The base image is stood in for: a Debian made by mmdebstrap, with Python from Debian, under
# the upstream image's name. So the Dockerfile is built as it stands, where no registry of
# images can be reached. Needs Debian and root; everything it makes is under build/image.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$PWD/build/image
port=${PORT:-8765}
export DEBIAN_FRONTEND=noninteractive BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
for command in buildah mmdebstrap curl; do
    command -v "$command" >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends buildah mmdebstrap curl >/dev/null; }
done
mkdir -p "$work"
image=$(sed -n 's/^FROM \([^ ]*\) AS build/\1/p' Dockerfile)
store=(--root "$work/storage" --runroot "$work/run" --storage-driver vfs)

if ! buildah "${store[@]}" images -q "docker.io/library/$image" >/dev/null 2>&1; then
    [ -f "$work/base.tar" ] || mmdebstrap --variant=minbase \
        --include=python3,python3-venv,python3-pip,ca-certificates \
        --customize-hook='ln -sf /usr/bin/python3 "$1/usr/local/bin/python"' \
        bookworm "$work/base.tar" >"$work/mmdebstrap.log" 2>&1 || { tail -n 20 "$work/mmdebstrap.log"; exit 1; }
    base=$(buildah "${store[@]}" from scratch)
    buildah "${store[@]}" add "$base" "$work/base.tar" / >/dev/null
    buildah "${store[@]}" commit -q "$base" "docker.io/library/$image" >/dev/null
    buildah "${store[@]}" rm "$base" >/dev/null
fi

# What the machine's pip is set up with is handed to the build, never written into the image.
build_args=()
mounts=()
if [ -f /etc/pip.conf ]; then mounts+=(--volume /etc/pip.conf:/etc/pip.conf:ro); fi
while IFS='=' read -r name value; do
    build_args+=(--env "$name=$value")
    case $name in
        *BUNDLE* | *CERT*) [ -e "$value" ] && mounts+=(--volume "$value:$value:ro") ;;
        PIP_FIND_LINKS) [ -d "$value" ] && mounts+=(--volume "$value:$value:ro") ;;
    esac
done < <(env | grep -E '^(PIP_|SSL_CERT_FILE=|REQUESTS_CA_BUNDLE=)' || true)
buildah "${store[@]}" build --quiet --isolation chroot --pull-never --network host --format docker \
    "${mounts[@]}" "${build_args[@]}" --tag gradient-service . >"$work/build.log" 2>&1 || { tail -n 40 "$work/build.log"; exit 1; }

config=$(buildah "${store[@]}" inspect --type image gradient-service)
for wanted in '"User": "10001:10001"' '"Healthcheck"' 'gradient-service serve'; do
    grep -qF "$wanted" <<<"$config" || { echo "not in the image's configuration: $wanted" >&2; exit 1; }
done

container=$(buildah "${store[@]}" from --pull-never gradient-service)
root=$(buildah "${store[@]}" mount "$container")
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; buildah "${store[@]}" umount "$container" >/dev/null; buildah "${store[@]}" rm "$container" >/dev/null' EXIT
chroot --userspec=10001:10001 "$root" /usr/bin/env -i PATH=/opt/gradient/bin:/usr/local/bin:/usr/bin:/bin \
    GRADIENT_HOST=127.0.0.1 GRADIENT_PORT="$port" GRADIENT_WORKERS=2 \
    DATABASE_URL=sqlite:////var/lib/gradient/store.sqlite3 \
    sh -c 'cd /var/lib/gradient && exec gradient-service serve' >"$work/serve.log" 2>&1 &
server=$!
for _ in $(seq 100); do
    curl -fs "http://127.0.0.1:$port/readyz" >/dev/null 2>&1 && break
    kill -0 "$server" 2>/dev/null || { cat "$work/serve.log"; exit 1; }
    sleep 0.2
done
answer=$(curl -fs "http://127.0.0.1:$port/v1/gradient" -H 'content-type: application/json' \
    -d '{"graph":{"expression":"(x + y) * z"},"inputs":{"x":-2,"y":5,"z":-4},"values":"output"}')
echo "$answer"
grep -qF '"gradients":{"x":-4.0,"y":-4.0,"z":3.0}' <<<"$answer"
[ "$(ps -o uid= -p "$server" | tr -d ' ')" = 10001 ]
echo "the image was built, ran as uid 10001 and answered"
