"""Counters that cost an addition when a request passes, and become metrics when asked for.

Every worker counts for itself. With several workers each writes its counters to a file in
a shared folder once a second; the worker that is asked adds the others' to its own. The
counters of a worker that died stay in the sums, so that they never fall.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

BUCKETS = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    10.0,
    30.0,
)
"""Upper bounds of the duration histogram, in seconds."""

Gauge = Callable[[], float]


class Route:
    """The counts of one endpoint."""

    __slots__ = ("durations", "path", "seconds", "statuses")

    def __init__(self, path: str) -> None:
        self.path = path
        self.statuses: dict[tuple[str, int], int] = {}
        self.durations = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0

    def add(self, method: str, status: int, seconds: float) -> None:
        """Count one answer."""
        key = (method, status)
        statuses = self.statuses
        statuses[key] = statuses.get(key, 0) + 1
        self.durations[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds


class Metrics:
    """All counters of this worker, and the way to read them of all workers."""

    def __init__(self, state_dir: Path | None = None) -> None:
        self._routes: dict[str, Route] = {}
        self.errors: dict[str, int] = {}
        self.nodes = 0
        self.flops = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.inline = 0
        self.hung_up = 0
        self._gauges: dict[tuple[str, str, tuple[tuple[str, str], ...]], Gauge] = {}
        self._counters: dict[tuple[str, str, tuple[tuple[str, str], ...]], Gauge] = {}
        self._state_dir = state_dir
        self._started = time.time()

    def route(self, path: str) -> Route:
        """The counts of `path`, which is a template and not what a client wrote."""
        route = self._routes.get(path)
        if route is None:
            route = self._routes[path] = Route(path)
        return route

    def error(self, code: str) -> None:
        """Count one problem document."""
        self.errors[code] = self.errors.get(code, 0) + 1

    def gauge(self, name: str, help_text: str, read: Gauge, **labels: str) -> None:
        """Have `read` asked for a number that may rise and fall."""
        self._gauges[name, help_text, tuple(labels.items())] = read

    def counter(self, name: str, help_text: str, read: Gauge, **labels: str) -> None:
        """Have `read` asked for a number that only rises, counted elsewhere."""
        self._counters[name, help_text, tuple(labels.items())] = read

    # Between workers

    def snapshot(self) -> dict[str, Any]:
        """The counters as plain JSON."""
        return {
            "pid": os.getpid(),
            "routes": {
                route.path: {
                    "statuses": [
                        [method, status, n] for (method, status), n in route.statuses.items()
                    ],
                    "durations": route.durations,
                    "seconds": route.seconds,
                }
                for route in self._routes.values()
            },
            "errors": self.errors,
            "totals": {
                "nodes": self.nodes,
                "flops": self.flops,
                "bytes_in": self.bytes_in,
                "bytes_out": self.bytes_out,
                "inline": self.inline,
                "hung_up": self.hung_up,
            },
            "counters": [[*key, read()] for key, read in self._counters.items()],
            "gauges": [[*key, read()] for key, read in self._gauges.items()],
            "memory": resident_bytes(),
            "cpu": time.process_time(),
            "started": self._started,
        }

    def publish(self) -> None:
        """Write the counters where the other workers find them."""
        if self._state_dir is None:
            return
        path = self._state_dir / f"worker-{os.getpid()}.json"
        fresh = path.with_suffix(".new")
        with suppress(OSError):
            fresh.write_bytes(orjson.dumps(self.snapshot()))
            fresh.replace(path)

    def all_workers(self) -> list[dict[str, Any]]:
        """This worker's counters and the last ones that every other worker published."""
        own = self.snapshot()
        found = [own]
        if self._state_dir is not None:
            for path in sorted(self._state_dir.glob("worker-*.json")):
                with suppress(OSError, ValueError):
                    other = orjson.loads(path.read_bytes())
                    if other["pid"] != own["pid"]:
                        found.append(other)
        return found

    def render(self) -> bytes:
        """The metrics of all workers in Prometheus' text format."""
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(Collector(self.all_workers()))
        return generate_latest(registry)


class Collector:
    """Turns snapshots of workers into prometheus_client's metric families."""

    def __init__(self, workers: list[dict[str, Any]]) -> None:
        self._workers = workers

    def collect(self) -> Iterator[Any]:
        """The families, for prometheus_client."""
        yield from self._requests()
        yield from self._totals()
        yield from self._processes()

    def _requests(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

        requests = CounterMetricFamily(
            "gradient_requests",
            "Requests answered.",
            labels=["path", "method", "status"],
        )
        durations = HistogramMetricFamily(
            "gradient_request_seconds",
            "Time from a request's head to its answer.",
            labels=["path"],
        )
        statuses: dict[tuple[str, str, str], int] = {}
        buckets: dict[str, list[int]] = {}
        seconds: dict[str, float] = {}
        for worker in self._workers:
            for path, route in worker["routes"].items():
                for method, status, count in route["statuses"]:
                    key = (path, method, str(status))
                    statuses[key] = statuses.get(key, 0) + count
                sums = buckets.setdefault(path, [0] * (len(BUCKETS) + 1))
                for i, count in enumerate(route["durations"]):
                    sums[i] += count
                seconds[path] = seconds.get(path, 0.0) + route["seconds"]
        for labels, count in sorted(statuses.items()):
            requests.add_metric(labels, count)
        bounds = [*map(str, BUCKETS), "+Inf"]
        for path, sums in sorted(buckets.items()):
            running, cumulative = 0, []
            for bound, count in zip(bounds, sums, strict=True):
                running += count
                cumulative.append((bound, running))
            durations.add_metric([path], cumulative, sum_value=seconds[path])
        errors = CounterMetricFamily(
            "gradient_errors", "Problem documents sent, by code.", labels=["code"]
        )
        codes: dict[str, int] = {}
        for worker in self._workers:
            for code, count in worker["errors"].items():
                codes[code] = codes.get(code, 0) + count
        for code, count in sorted(codes.items()):
            errors.add_metric([code], count)
        yield requests
        yield durations
        yield errors

    def _totals(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for name, text in _TOTALS.items():
            yield CounterMetricFamily(
                f"gradient_{name}",
                text,
                value=sum(worker["totals"].get(name, 0) for worker in self._workers),
            )
        for kind, family in (
            ("counters", CounterMetricFamily),
            ("gauges", GaugeMetricFamily),
        ):
            sums: dict[tuple[str, str], dict[tuple[tuple[str, str], ...], float]] = {}
            for worker in self._workers:
                if kind == "gauges" and not _alive(worker["pid"]):
                    continue
                for name, text, labels, value in worker[kind]:
                    values = sums.setdefault((name, text), {})
                    pairs = tuple((key, label) for key, label in labels)
                    values[pairs] = values.get(pairs, 0.0) + value
            for (name, text), values in sums.items():
                names = [key for key, _ in next(iter(values))]
                metric = family(f"gradient_{name}", text, labels=names)
                for pairs, value in values.items():
                    metric.add_metric([label for _, label in pairs], value)
                yield metric

    def _processes(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        memory = GaugeMetricFamily(
            "gradient_worker_resident_bytes",
            "Resident memory of a worker.",
            labels=["worker"],
        )
        started = GaugeMetricFamily(
            "gradient_worker_start_time_seconds", "When it started.", labels=["worker"]
        )
        workers = 0
        for worker in self._workers:
            if _alive(worker["pid"]):
                workers += 1
                memory.add_metric([str(worker["pid"])], worker["memory"])
                started.add_metric([str(worker["pid"])], worker["started"])
        yield memory
        yield started
        yield GaugeMetricFamily("gradient_workers", "Workers alive.", value=workers)
        yield CounterMetricFamily(
            "gradient_cpu_seconds",
            "Processor time of all workers.",
            value=sum(worker["cpu"] for worker in self._workers),
        )


_TOTALS: Mapping[str, str] = {
    "nodes": "Nodes of the graphs computed.",
    "flops": "Floating-point operations of the requests computed, as estimated beforehand.",
    "bytes_in": "Bytes of bodies read.",
    "bytes_out": "Bytes of bodies sent.",
    "inline": "Requests that were cheap enough to be computed on the event loop.",
    "hung_up": "Requests whose client went away before the answer.",
}


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def resident_bytes() -> int:
    """Resident memory of this process; its peak where the system doesn't tell the present."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
