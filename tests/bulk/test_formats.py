"""Every format in and every format out: numbers, tensors, text, bad rows."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.bulk.test_batch_command import batch

GRAPH = "f = sum(w * v) * x"
OUT = ("npz", "csv", "ndjson", "jsonl", "parquet", "arrow", "feather", "csv.gz", "ndjson.gz")
ROWS: list[dict[str, Any]] = [
    {"name": 'Ada "L", II', "x": 1.5, "v": [1.0, 2.0]},
    {"name": "Grace", "x": None, "v": [1.0, 2.0]},
    {"name": "Émilie\nde B.", "x": -2.0, "v": [0.0, 0.25]},
    {"name": None, "x": 4.0, "v": [1.0]},
    {"name": "Sofia", "x": 1e200, "v": [1e10, -1e10]},
]
GOOD = (0, 2, 4)


def written(path: Path) -> None:
    """The rows as a file of the format that the path ends in."""
    table = pa.Table.from_pylist(ROWS)
    if path.name.endswith("parquet"):
        pq.write_table(table, path)
    elif path.name.endswith(("arrow", "feather")):
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    else:
        text = "".join(json.dumps(row) + "\r\n" for row in ROWS).encode()
        path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)


def read(path: Path) -> list[dict[str, Any]]:
    """What a file of results says of every row."""
    name = path.name.removesuffix(".gz")
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if name.endswith(("parquet", "arrow", "feather")):
        table = (
            pq.read_table(path) if name.endswith("parquet") else pa.ipc.open_file(path).read_all()
        )
        return [
            {"name": row["name"], "error": row["error"], "value": row["value"], "dv": row["dv"]}
            for row in table.to_pylist()
        ]
    if name.endswith("json") or name.endswith("jsonl"):
        lines = [json.loads(line) for line in content.splitlines()]
        return [
            {
                "name": line["name"],
                "error": line.get("error"),
                "value": float(line.get("value", "NaN")),
                "dv": [float(one) for one in line.get("gradients", {"v": ["NaN"]})["v"]],
            }
            for line in lines
        ]
    if name.endswith("csv"):
        import csv
        import io

        rows = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
        return [
            {
                "name": row["name"] or None,
                "error": row["error"] or None,
                "value": float(row["value"]),
                "dv": [float(row["dv[0]"]), float(row["dv[1]"])],
            }
            for row in rows
        ]
    archive = np.load(path)
    return [
        {
            "name": str(archive["name"][place]),
            "error": str(archive["error"][place]) or None,
            "value": float(archive["value"][place]),
            "dv": archive["dv"][place].tolist(),
        }
        for place in range(len(archive["value"]))
    ]


@pytest.mark.parametrize("given", ["parquet", "arrow", "ndjson", "jsonl.gz"])
@pytest.mark.parametrize("out", OUT)
def test_rows_come_through(tmp_path: Path, given: str, out: str) -> None:
    written(tmp_path / f"points.{given}")
    arguments = ["-e", GRAPH, "-i", "w=[3, 0.5]", "-o", f"out.{out}", "--block", "2"]
    batch(tmp_path, f"points.{given}", *arguments)
    results = read(tmp_path / f"out.{out}")
    assert len(results) == len(ROWS)
    for place, (result, row) in enumerate(zip(results, ROWS, strict=True)):
        if row["name"] is not None:
            assert result["name"] == row["name"]
        if place not in GOOD:
            assert ("'x'" if place == 1 else "'v'") in result["error"]
            continue
        v = np.array(row["v"])
        assert result["error"] is None
        assert result["value"] == (v * [3, 0.5]).sum() * row["x"]
        assert result["dv"] == [3 * row["x"], 0.5 * row["x"]]


def test_a_table_from_a_spreadsheet(tmp_path: Path) -> None:
    text = '\ufeffstudent,x,y\r\n"Lovelace, Ada",1,2\r\nGrace,,3\r\nSofia,4,5,6\r\nMary,NaN,1\r\n'
    (tmp_path / "points.csv").write_bytes(text.encode())
    told = batch(tmp_path, "points.csv", "-e", "x * y", "-o", "out.csv")
    del told
    assert (tmp_path / "out.csv").read_text().splitlines() == [
        "student,value,dx,dy,error",
        '"Lovelace, Ada",2.0,2.0,1.0,',
        "Grace,nan,nan,nan,'x' is no number",
        'Sofia,nan,nan,nan,"4 columns, where the first line names 3"',
        "Mary,nan,1.0,nan,",
    ]


def test_a_row_that_the_graph_can_not_take_is_that_rows_error(tmp_path: Path) -> None:
    lines = [{"x": [1.0, 2.0, 4.0], "k": k} for k in (0, 2, 7, 1)]
    (tmp_path / "points.ndjson").write_text("\n".join(map(json.dumps, lines)))
    out = batch(tmp_path, "points.ndjson", "-e", "take(x, k)").splitlines()
    found = [json.loads(line) for line in out]
    assert [line.get("value") for line in found] == [1.0, 4.0, None, 2.0]
    assert "error" in found[2]


def test_rows_are_the_same_by_every_block_length(tmp_path: Path) -> None:
    written(tmp_path / "points.parquet")
    made = set()
    for length in "12345":
        arguments = ["-e", GRAPH, "-i", "w=[3, 0.5]", "-o", "out.csv", "--block", length]
        batch(tmp_path, "points.parquet", *arguments)
        made.add((tmp_path / "out.csv").read_bytes())
    assert len(made) == 1


def test_without_pyarrow_the_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "pyarrow").mkdir()
    (tmp_path / "pyarrow" / "__init__.py").write_text("raise ImportError('none', name='pyarrow')")
    (tmp_path / "points.csv").write_text("x\n1\n")
    (tmp_path / "points.parquet").write_text("")
    # The command runs in this folder, which its interpreter looks into first.
    for arguments in (["points.parquet"], ["points.csv", "-o", "out.arrow"]):
        told = batch(tmp_path, *arguments, "-e", "x * x", code=2)
        assert "gradient-service[arrow]" in " ".join(told.split())
