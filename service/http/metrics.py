"""The metrics of the service, in prometheus_client's counters, histograms and gauges.

A request adds to plain numbers, which costs an addition; `publish` moves them into the
counters, twice a second and before every scrape. With several workers prometheus_client runs
in its multiprocess mode: every worker's counters lie in files of a folder they share, and
whichever worker is asked adds them up. A scrape publishes before it reads, so that no later
one, of whatever worker, sees less. The files of a worker that died stay in the sums.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from service import __version__

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)
"""Upper bounds of the duration histogram, in seconds."""

Read = Callable[[], float]
Labels = dict[str, str]

_TOTALS = {
    "nodes": "Nodes of the graphs computed.",
    "flops": "Floating-point operations of the requests computed, as estimated beforehand.",
    "bytes_in": "Bytes of bodies read.",
    "bytes_out": "Bytes of bodies sent.",
    "inline": "Requests that were cheap enough to be computed on the event loop.",
    "hung_up": "Requests whose client went away before the answer.",
}


_VERSIONS = {
    "version": __version__,
    "python": platform.python_version(),
    "numpy": np.__version__,
}


class RouteCounts:
    """The answers of one path since they were last published, by method and status."""

    __slots__ = ("_observe", "answers")

    def __init__(self, observe: Callable[[float], None]) -> None:
        self.answers: dict[tuple[str, int], int] = {}
        self._observe = observe

    def add(self, method: str, status: int, seconds: float) -> None:
        """Count one answer."""
        key = (method, status)
        answers = self.answers
        answers[key] = answers.get(key, 0) + 1
        self._observe(seconds)


class Metrics:
    """The metrics of this process, and those of all workers where they share `folder`."""

    def __init__(self, folder: Path | None = None) -> None:
        self.nodes = 0
        self.flops = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.inline = 0
        self.hung_up = 0
        self.errors: dict[str, int] = {}
        self._published: dict[str, int] = {}
        self._folder = folder
        self._registry = CollectorRegistry()
        self._routes: dict[str, RouteCounts] = {}
        self._watched: list[Callable[[], None]] = []
        _choose_values(folder)
        self._requests = self._counter("requests", "Requests answered.", "path", "method", "status")
        self._seconds = Histogram(
            "gradient_request_seconds",
            "Time from a request's head to its answer.",
            ["path"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._errors = self._counter("errors", "Problem documents sent, by code.", "code")
        for name, text in _TOTALS.items():
            self.counter(name, text, lambda name=name: getattr(self, name))  # type: ignore[misc]
        self._watch_process()

    def _watch_process(self) -> None:
        started, worker = time.time(), str(os.getpid())
        process: dict[str, float] = {}
        collector = ProcessCollector(registry=None)
        self._watched.append(
            lambda: process.update((m.name, m.samples[0].value) for m in collector.collect())
        )
        for metric in collector.collect():
            read = partial(process.__getitem__, metric.name)
            if metric.type == "counter":
                self.counter(metric.name, metric.documentation, read)
            else:
                mode = "livemin" if metric.name == "process_start_time_seconds" else "livesum"
                self.gauge(metric.name, metric.documentation, read, mode=mode)
        self.gauge(
            "build_info", "The versions of what runs.", lambda: 1, mode="livemax", **_VERSIONS
        )
        self.counter("cpu_seconds", "Processor time of all workers.", time.process_time)
        self.gauge("workers", "Workers alive.", lambda: 1)
        self.gauge(
            "worker_resident_bytes", "Resident memory of a worker.", resident_bytes, worker=worker
        )
        self.gauge(
            "worker_start_time_seconds", "When a worker started.", lambda: started, worker=worker
        )

    def route(self, path: str) -> RouteCounts:
        """The counts of `path`, which is a template and not what a client wrote."""
        route = self._routes.get(path)
        if route is None:
            route = self._routes[path] = RouteCounts(self._seconds.labels(path).observe)
        return route

    def error(self, code: str) -> None:
        """Count one problem document."""
        self.errors[code] = self.errors.get(code, 0) + 1

    def gauge(
        self, name: str, text: str, read: Read, *, mode: Any = "livesum", **labels: str
    ) -> None:
        """Have `read` asked for a number that may rise and fall; `mode` joins the workers'."""
        name = _full(name)
        gauge: Any = self._registry._names_to_collectors.get(name) or Gauge(
            name, text, list(labels), multiprocess_mode=mode, registry=self._registry
        )
        child = gauge.labels(**labels) if labels else gauge
        self._watched.append(lambda: child.set(read()))

    def counter(self, name: str, text: str, read: Read, **labels: str) -> None:
        """Have `read` asked for a number that only rises, counted elsewhere."""
        counter: Any = self._registry._names_to_collectors.get(_full(name))
        counter = counter or self._counter(name, text, *labels)
        child = counter.labels(**labels) if labels else counter
        published = 0.0

        def publish() -> None:
            nonlocal published
            now = read()
            child.inc(max(0.0, now - published))
            published = now

        self._watched.append(publish)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(_full(name), text, labels, registry=self._registry)

    def publish(self) -> None:
        """Move what was counted to where every worker sees it."""
        for path, route in self._routes.items():
            answers, route.answers = route.answers, {}
            for (method, status), count in answers.items():
                self._requests.labels(path, method, status).inc(count)
        for code, count in self.errors.items():
            self._errors.labels(code).inc(count - self._published.get(code, 0))
        self._published = dict(self.errors)
        for publish in self._watched:
            publish()

    def render(self) -> bytes:
        """The metrics of all workers in Prometheus' text format. Call `publish` before it."""
        if self._folder is None:
            return generate_latest(_WithoutCreated(self._registry))
        _forget_dead_workers(self._folder)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self._folder))  # type: ignore[no-untyped-call]
        return generate_latest(registry)


def _full(name: str) -> str:
    """The name of a metric, which is this service's or that of any process."""
    return name if name.startswith("process_") else f"gradient_{name}"


class _WithoutCreated:
    """A registry without the series that say when each counter was made."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Any]:
        for metric in self._registry.collect():
            metric.samples = [s for s in metric.samples if not s.name.endswith("_created")]
            yield metric


def _choose_values(folder: Path | None) -> None:
    """Have the metrics that are made from now on kept in files of `folder`, or in memory.

    prometheus_client chooses by an environment variable when it is imported, which a library
    that is used in another application comes too late for.
    """
    if folder is None:
        values.ValueClass = values.MutexValue
    else:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
        values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]


def _forget_dead_workers(folder: Path) -> None:
    """Take the gauges of workers that died out of the sums; their counters stay."""
    for pid in {int(file.stem.rpartition("_")[2]) for file in folder.glob("gauge_live*_*.db")}:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
        except PermissionError:
            continue


def resident_bytes() -> int:
    """Resident memory of this process; its peak where the system doesn't tell the present."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
