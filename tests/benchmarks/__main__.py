"""Run the rows, print one table, write it as JSON to build/benchmarks.json."""

from __future__ import annotations

import argparse
import json
import os
import platform
from datetime import date
from pathlib import Path

from tests.benchmarks.harness import Figure, measure
from tests.benchmarks.references import references
from tests.benchmarks.rows import ROWS


def main() -> None:
    """Rows by name or number; all of them by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", help="parts of the names of the rows to run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="small sizes, two rounds")
    given = parser.parse_args()
    python, versions = references()
    rounds = 2 if given.quick else given.rounds
    figures: list[Figure] = []
    print(
        f"{date.today()}, {os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}"
    )
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    for row in ROWS:
        if given.rows and not any(part in row.name for part in given.rows):
            continue
        if given.quick and row.long:
            continue
        figure = measure(row, python, rounds)
        figures.append(figure)
        print(figure.line(), flush=True)
    path = Path("build/benchmarks.json")
    path.parent.mkdir(exist_ok=True)
    document = {
        "date": str(date.today()),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "references": versions,
        "rows": [figure.document() for figure in figures],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
    print(f"written to {path}")


main()
