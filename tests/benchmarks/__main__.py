"""Run the rows, print one table, write it as JSON to build/benchmarks.json."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks.harness import Figure, measure
from tests.benchmarks.references import references
from tests.benchmarks.rows import ROWS

LONG_ROUNDS = 3
_OURS = ("numpy", "uvicorn", "fastapi", "msgspec", "orjson")


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    found: dict[str, Any] = {"cores": os.cpu_count(), "processor": platform.machine()}
    for path, key, name in (
        ("/proc/cpuinfo", "model name", "processor"),
        ("/proc/meminfo", "MemTotal", "memory"),
    ):
        if Path(path).exists():
            lines = Path(path).read_text().splitlines()
            values = [line.partition(":")[2].strip() for line in lines if line.startswith(key)]
            found[name] = values[0] if values else "unknown"
    found["python"] = platform.python_version()
    found["load"] = round(os.getloadavg()[0], 1)
    return found


def main() -> None:
    """Rows by parts of their names; all of them by default."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", help="parts of the names of the rows to run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="small sizes, two rounds")
    parser.add_argument("--list", action="store_true", help="name the rows and run none")
    given = parser.parse_args()
    wanted = [
        row
        for row in ROWS
        if (not given.rows or any(part in row.name for part in given.rows))
        and not (given.quick and row.long)
    ]
    if given.list:
        print("\n".join(row.name for row in wanted))
        return
    python, versions = references()
    rounds = 2 if given.quick else given.rounds
    about = {
        "date": str(date.today()),
        "machine": machine(),
        "versions": {name: version(name) for name in _OURS},
        "references": versions,
    }
    print(
        f"{about['date']}; "
        + ", ".join(f"{name} {value}" for name, value in machine().items())
        + "\nof the service: "
        + ", ".join(f"{name} {value}" for name, value in about["versions"].items())
        + "\nreferences: "
        + (", ".join(f"{name} {value}" for name, value in versions.items()) or "none")
        + "\n"
    )
    figures: list[Figure] = []
    started = time.monotonic()
    path = Path("build/benchmarks.json")
    path.parent.mkdir(exist_ok=True)
    for row in wanted:
        figure = measure(row, python, min(rounds, LONG_ROUNDS) if row.long else rounds)
        figures.append(figure)
        print(figure.line(), flush=True)
        document = about | {"rows": [figure.document() for figure in figures]}
        path.write_text(json.dumps(document, indent=1) + "\n")
    reached = sum(figure.reached for figure in figures)
    minutes = (time.monotonic() - started) / 60
    print(f"\n{reached} of {len(figures)} reached in {minutes:.0f} minutes; written to {path}")


if __name__ == "__main__":
    main()
