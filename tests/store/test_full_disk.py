"""A disk that is really full: a small file system of the test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import ROOT

SCRIPT = """
import os, sys
from service.store import StoreFull, canonical_json
from service.store.database import DatabaseStore

folder = sys.argv[1]
ballast = os.path.join(folder, "ballast")
with open(ballast, "wb") as file:
    file.write(bytes(600 * 1024))
store = DatabaseStore(f"sqlite:///{folder}/store.sqlite")
kept = store.put_graph(canonical_json({"expression": "x * y"}), "kept")
texts = (canonical_json({"expression": f"x + {i}" + " " * 20_000}) for i in range(1000))
try:
    for text in texts:
        store.put_graph(text)
except StoreFull:
    pass
else:
    sys.exit("the disk never was full")
assert store.get_graph("kept") == '{"expression":"x * y"}'
assert len(store.list_graphs(5).items) == 5
assert store.delete_graph("kept")
assert store.get_graph("kept") is None
every = [entry.id for entry in store.list_graphs(1000).items]
assert len(every) > 100
for graph_id in every:
    assert store.delete_graph(graph_id)
assert store.list_graphs(5).items == ()
os.unlink(ballast)
store.put_graph(next(texts))
print("went on")
"""


def test_a_full_disk_is_told_and_got_over(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    mount = f"mount -t tmpfs -o size=8m tmpfs {tmp_path}"
    if (
        unshare is None
        or subprocess.run(
            [unshare, "--mount", "sh", "-c", mount], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("no file system of our own can be mounted here")
    done = subprocess.run(
        [unshare, "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh", sys.executable, "-c",
         SCRIPT, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "went on", done.stderr
