"""The metrics: what is counted, of one worker and of several; well-formed for Prometheus."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service import __version__
from service.http.metrics import Metrics, resident_bytes
from tests.serving import serving

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def published(metrics: Metrics) -> Samples:
    metrics.publish()
    return samples(metrics.render().decode())


def only_rising(found: Samples) -> Samples:
    return {
        key: value
        for key, value in found.items()
        if key[0].endswith(("_total", "_count", "_sum", "_bucket"))
    }


def test_counts_become_prometheus_metrics() -> None:
    metrics = Metrics()
    route = metrics.route("/v1/gradient")
    route.add("POST", 200, 0.0001)
    route.add("POST", 200, 0.02)
    route.add("POST", 422, 100.0)
    metrics.error("cycle")
    metrics.nodes += 5
    metrics.gauge("pool_waiting", "…", lambda: 3, pool="light")
    metrics.gauge("pool_waiting", "…", lambda: 4, pool="heavy")
    metrics.counter("cache_hits", "…", lambda: 9)
    for _ in range(2):
        found = published(metrics)
        path = ("path", "/v1/gradient")
        ok = (("method", "POST"), path, ("status", "200"))
        assert found["gradient_requests_total", ok] == 2
        assert found["gradient_request_seconds_count", (path,)] == 3
        assert found["gradient_request_seconds_bucket", (("le", "0.025"), path)] == 2
        assert found["gradient_request_seconds_bucket", (("le", "+Inf"), path)] == 3
        assert found["gradient_errors_total", (("code", "cycle"),)] == 1
        assert found["gradient_nodes_total", ()] == 5
        assert found["gradient_pool_waiting", (("pool", "heavy"),)] == 4
        assert found["gradient_cache_hits_total", ()] == 9
        assert found["gradient_workers", ()] == 1
        (build,) = [labels for name, labels in found if name == "gradient_build_info"]
        assert dict(build)["version"] == __version__
        assert found["process_resident_memory_bytes", ()] > 1e6
        assert found["process_cpu_seconds_total", ()] > 0.1
        assert found["process_open_fds", ()] < found["process_max_fds", ()]
        assert abs(found["process_start_time_seconds", ()] - time.time()) < 86_400
        assert found["gradient_worker_resident_bytes", (("worker", str(os.getpid())),)] > 1e6
    assert not any(name.endswith("_created") for name, _ in found)


def _count(folder: Path) -> None:
    metrics = Metrics(folder)
    metrics.route("/a").add("GET", 200, 0.1)
    metrics.gauge("requests_running", "…", lambda: 7)
    metrics.publish()
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_counters_of_a_worker_outlive_it_and_its_gauges_do_not(tmp_path: Path) -> None:
    worker = multiprocessing.get_context("spawn").Process(target=_count, args=(tmp_path,))
    worker.start()
    worker.join(30)
    metrics = Metrics(tmp_path)
    metrics.route("/a").add("GET", 200, 0.1)
    metrics.gauge("requests_running", "…", lambda: 1)
    found = published(metrics)
    Metrics()  # values are kept in memory again
    labels = (("method", "GET"), ("path", "/a"), ("status", "200"))
    assert found["gradient_requests_total", labels] == 2
    assert found["gradient_request_seconds_count", (("path", "/a"),)] == 2
    assert found["gradient_requests_running", ()] == 1
    assert found["gradient_workers", ()] == 1


def test_counters_of_several_workers_never_fall(tmp_path: Path) -> None:
    graph = {"graph": {"expression": "x * x"}, "inputs": {"x": 3}}
    seen: Samples = {}
    workers: set[str] = set()
    with serving(tmp_path, workers="2") as server:
        for round_ in range(60):
            # A new connection each time: either worker may take it.
            asked = httpx.post(server.url + "/v1/gradient", json=graph)
            assert asked.status_code == 200
            found = samples(httpx.get(server.url + "/metrics").text)
            workers |= {
                dict(labels)["worker"] for name, labels in found if "worker_resident" in name
            }
            rising = only_rising(found)
            fallen = {k: (v, rising.get(k)) for k, v in seen.items() if rising.get(k, -1.0) < v}
            assert not fallen, round_
            seen = rising
            if round_ == 30:
                os.kill(int(next(iter(workers))), signal.SIGKILL)
                time.sleep(2)
    labels = (("method", "POST"), ("path", "/v1/gradient"), ("status", "200"))
    assert len(workers) >= 2
    # What a killed worker had counted and not yet published is lost, but nothing else.
    assert 50 <= seen["gradient_requests_total", labels] <= 60


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Prometheus is not installed")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_promtool_has_nothing_to_say(tmp_path: Path, workers: str) -> None:
    with serving(tmp_path, workers=workers) as server:
        httpx.post(server.url + "/v1/gradient", content=b"{")
        text = httpx.get(server.url + "/metrics").text
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_resident_memory_is_known() -> None:
    assert resident_bytes() > 10**6
