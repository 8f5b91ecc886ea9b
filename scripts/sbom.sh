#!/usr/bin/env bash
# Write the software bill of materials (CycloneDX) of the pinned core dependencies to build/sbom.json.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=build/tools
[ -x "$tools/bin/cyclonedx-py" ] || { [ -x "$tools/bin/python" ] || scripts/venv.sh "$tools"; "$tools/bin/python" -m pip install --quiet cyclonedx-bom; }
"$tools/bin/cyclonedx-py" requirements requirements.txt --pyproject pyproject.toml \
    --output-reproducible --of JSON --output-file build/sbom.json
echo "build/sbom.json: $(python3 -c 'import json; print(len(json.load(open("build/sbom.json"))["components"]))') components"
