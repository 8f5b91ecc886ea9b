"""`gradient-service batch` as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.serving import ROOT

GRAPH = "f = x * exp(y)"


def batch(folder: Path, *arguments: str, stdin: str = "", code: int = 0) -> str:
    """What the command prints; its exit code is checked."""
    done = subprocess.run(
        [sys.executable, "-m", "service", "batch", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=100,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def points(size: int = 7) -> dict[str, Any]:
    rng = np.random.default_rng(5)
    return {"x": rng.normal(size=size), "y": rng.normal(size=size)}


def test_arrays_in_arrays_out(tmp_path: Path) -> None:
    given = points()
    np.savez(tmp_path / "points.npz", **given)
    batch(tmp_path, "points.npz", "-e", GRAPH, "-o", "out.npz")
    out = np.load(tmp_path / "out.npz")
    np.testing.assert_allclose(out["value"], given["x"] * np.exp(given["y"]))
    np.testing.assert_allclose(out["dx"], np.exp(given["y"]))
    assert set(out.files) == {"value", "dx", "dy"}


def test_a_table_in_a_table_out(tmp_path: Path) -> None:
    given = points()
    rows = [f"{x!r},{y!r}" for x, y in zip(*(a.tolist() for a in given.values()), strict=True)]
    (tmp_path / "points.csv").write_text("\n".join(["x, y", *rows]))
    (tmp_path / "graph.txt").write_text(GRAPH)
    batch(tmp_path, "points.csv", "-g", "graph.txt", "-o", "out.csv", "--wrt", "y")
    head, *lines = (tmp_path / "out.csv").read_text().splitlines()
    assert head == "value,dy"
    values = np.array([list(map(float, line.split(","))) for line in lines])
    np.testing.assert_allclose(values[:, 1], given["x"] * np.exp(given["y"]))


def test_lines_in_lines_out(tmp_path: Path) -> None:
    lines = '{"x": 1, "y": 0}\n\n{"x": "Infinity", "y": 0}\n'
    out = batch(tmp_path, "-", "-e", GRAPH, stdin=lines).splitlines()
    assert json.loads(out[0]) == {"value": 1.0, "gradients": {"x": 1.0, "y": 1.0}}
    assert json.loads(out[1])["value"] == "Infinity"


def test_shared_inputs_and_a_mean_over_the_points(tmp_path: Path) -> None:
    x = np.arange(12.0).reshape(4, 3)
    np.savez(tmp_path / "points.npz", x=x)
    arguments = ["points.npz", "-e", "w @ x", "-i", "w=[1, 2, 3]", "--reduce", "mean"]
    batch(tmp_path, *arguments, "-o", "out.npz", "--block", "3")
    out = np.load(tmp_path / "out.npz")
    np.testing.assert_allclose(out["value"], x @ [1, 2, 3])
    np.testing.assert_allclose(out["dw"], x.mean(axis=0))
    assert out["dx"].shape == (4, 3)
    last = batch(tmp_path, *arguments).splitlines()[-1]
    assert json.loads(last) == {"gradients": {"w": [4.5, 5.5, 6.5]}}
    assert "--output" in batch(tmp_path, *arguments, "-o", "out.csv", code=2)


def test_any_number_of_processes_writes_the_same_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "points.npz", **points(1000))
    for workers in "123":
        options = ["--workers", workers, "--block", "64", "-o", f"{workers}.npz"]
        batch(tmp_path, "points.npz", "-e", GRAPH, *options)
    one = (tmp_path / "1.npz").read_bytes()
    assert one == (tmp_path / "2.npz").read_bytes() == (tmp_path / "3.npz").read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("p.csv", "", "empty"),
        ("p.csv", "x,y", "no points"),
        ("p.csv", "x,x\n1,2", "each once"),
        ("p.csv", "x,y\n3", "columns"),
        ("p.csv", "x,y\n1,a", "row 1: 'y' is no number"),
        ("p.ndjson", "{", "line 1"),
        ("p.ndjson", "[1]", "line 1"),
        ("p.ndjson", '{"x": [1, [2]], "y": 1}', "no rectangular list"),
        ("p.ndjson", '{"x": 1, "y": 1, "value": 1}', "another name"),
        ("p.parquet", "nothing", "no Parquet file"),
        ("p.arrow", "nothing", "no Arrow file"),
        ("p.ndjson", '{"x": "1", "y": 1}', "not numeric"),
        ("p.npz", "nothing", ".npz"),
        ("p.txt", "1 2", "files that end in"),
    ],
)
def test_points_that_can_not_be_read_are_told(
    tmp_path: Path, name: str, content: str, says: str
) -> None:
    (tmp_path / name).write_text(content)
    told = batch(tmp_path, name, "-e", GRAPH, code=2)
    assert says in " ".join(told.replace("│", " ").split())


def test_a_wrong_graph_is_a_problem_document_and_leaves_no_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "points.npz", **points())
    (tmp_path / "out.npz").write_text("what was there before")
    told = batch(tmp_path, "points.npz", "-e", "x * z", "-o", "out.npz", code=1)
    document = json.loads(told.splitlines()[-1])
    assert {error["code"] for error in document["errors"]} == {"missing_input"}
    assert (tmp_path / "out.npz").read_text() == "what was there before"
    assert {path.name for path in tmp_path.iterdir()} == {"points.npz", "out.npz"}


def test_one_graph_is_wanted(tmp_path: Path) -> None:
    assert "--graph" in batch(tmp_path, "points.npz", code=2)
