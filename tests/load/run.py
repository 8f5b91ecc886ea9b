"""The load test: a bounded storm on loopback, every answer checked.

    python -m tests.load.run --seconds 600

Prints its figures and fails (exit code 1) on a wrong answer, a 5xx other than 503 and 504,
a lost request, memory that grows by more than a twentieth, or a slow /healthz. Clients and
the pulse that asks /healthz run in processes of their own, so that what is measured is the
service and not the measuring.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

from tests.fuzz.watching import logged, undocumented
from tests.load.clients import Client, Pulse, Tally
from tests.load.mix import mix
from tests.serving import serving

HEALTH_SECONDS = 0.05
GROWTH = 1.05


@dataclass
class Figures:
    """What a run measured."""

    seconds: float
    done: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    health_failures: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    log: str = ""

    @property
    def growth(self) -> float:
        """Memory in the last quarter over memory in the second: medians."""
        quarter = max(1, len(self.memory) // 4)
        early = self.memory[quarter : 2 * quarter] or self.memory
        return statistics.median(self.memory[-quarter:]) / statistics.median(early)

    def percentile(self, share: float) -> float:
        """The time in which /healthz answered in this share of cases, in seconds."""
        ordered = sorted(self.health)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def faults(self, *, memory: bool = True, health: float = HEALTH_SECONDS) -> list[str]:
        """What did not hold; `health` is the time in which /healthz must answer."""
        found = [f"wrong: {text}" for text in self.wrong[:5]]
        found += [f"lost: {text}" for text in self.lost[:5]]
        found += [f"healthz: {text}" for text in self.health_failures[:5]]
        found += [f"status {status}" for status in self.statuses if status in {500, 502}]
        if self.percentile(0.99) > health:
            found.append(f"healthz p99 {self.percentile(0.99) * 1000:.1f} ms")
        if memory and self.growth > GROWTH:
            found.append(f"memory grew by {100 * (self.growth - 1):.1f} %")
        if "Traceback" in self.log or '"internal error"' in self.log:
            found.append("an internal error is in the log")
        found += [f"not in the OpenAPI document: {one}" for one in undocumented(logged(self.log))]
        return found

    def show(self) -> str:
        """The figures as text."""
        total = sum(self.statuses.values())
        lines = [
            f"{self.seconds:.0f} s, {total} answers, {total / self.seconds:.0f} a second",
            "statuses: " + ", ".join(f"{s}: {n}" for s, n in sorted(self.statuses.items())),
            "checked: " + ", ".join(f"{name}: {n}" for name, n in sorted(self.done.items())),
            f"wrong: {len(self.wrong)}, lost: {len(self.lost)}",
            "healthz: "
            + ", ".join(
                f"{name} {self.percentile(share) * 1000:.1f} ms"
                for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
            )
            + f" of {len(self.health)}",
            f"memory: {self.memory[0] / 1e6:.0f} MB at first, {max(self.memory) / 1e6:.0f} at most,"
            f" {self.memory[-1] / 1e6:.0f} at last; last quarter over second {self.growth:.3f}",
        ]
        return "\n".join(lines)


def storm(port: int, seconds: float, clients: int, results: Queue[Any]) -> None:
    """Clients for so many seconds; in a process of its own."""
    tally, stop = Tally(), threading.Event()
    cases = mix()
    crowd = [Client(port, cases, tally, stop, seed) for seed in range(clients)]
    for client in crowd:
        client.start()
    time.sleep(seconds)
    stop.set()
    for client in crowd:
        client.join(60)
    results.put((dict(tally.done), dict(tally.statuses), tally.wrong, tally.lost))


def pulse(port: int, seconds: float, results: Queue[Any]) -> None:
    """Asks /healthz for so many seconds; in a process of its own."""
    stop = threading.Event()
    asking = Pulse(port, stop)
    asking.start()
    time.sleep(seconds)
    stop.set()
    asking.join(15)
    results.put((asking.seconds, asking.failures))


def run(seconds: float, *, clients: int = 12, folder: Path, **settings: str) -> Figures:
    """Start a service, let the storm rage, and give the figures."""
    spawn = multiprocessing.get_context("spawn")
    stormed, pulsed = spawn.Queue(), spawn.Queue()
    with serving(folder, **settings) as server:
        processes = [
            spawn.Process(target=storm, args=(server.port, seconds, clients, stormed)),
            spawn.Process(target=pulse, args=(server.port, seconds, pulsed)),
        ]
        for process in processes:
            process.start()
        figures = Figures(seconds)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(min(1.0, seconds / 40))
            figures.memory.append(resident(server.process.pid))
        done, statuses, figures.wrong, figures.lost = stormed.get(timeout=90)
        figures.health, figures.health_failures = pulsed.get(timeout=30)
        figures.done.update(done)
        figures.statuses.update(statuses)
        for process in processes:
            process.join(30)
        figures.log = server.log.read_text(errors="replace")
    return figures


def resident(pid: int) -> int:
    """Resident bytes of a process and of its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    total = 0
    for process in (str(pid), *children):
        try:
            total += int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096
        except OSError:
            continue
    return total


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Load test on loopback.")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--workers", default="1")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = run(
            arguments.seconds,
            clients=arguments.clients,
            folder=Path(folder),
            workers=arguments.workers,
        )
    print(figures.show())
    faults = figures.faults()
    for fault in faults:
        print("FAULT", fault)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
