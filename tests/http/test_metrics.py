import json
import os
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from service.http.metrics import Metrics, resident_bytes


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def test_counts_become_prometheus_metrics() -> None:
    metrics = Metrics()
    route = metrics.route("/v1/gradient")
    route.add("POST", 200, 0.0001)
    route.add("POST", 200, 0.02)
    route.add("POST", 422, 100.0)
    metrics.error("cycle")
    metrics.nodes += 5
    metrics.gauge("lane_waiting", "…", lambda: 3, lane="light")
    metrics.gauge("lane_waiting", "…", lambda: 4, lane="heavy")
    metrics.counter("cache_hits", "…", lambda: 9)
    found = samples(metrics)
    path = ("path", "/v1/gradient")
    ok = (("method", "POST"), path, ("status", "200"))
    assert found["gradient_requests_total", ok] == 2
    assert found["gradient_request_seconds_count", (path,)] == 3
    assert found["gradient_request_seconds_bucket", (("le", "0.025"), path)] == 2
    assert found["gradient_request_seconds_bucket", (("le", "+Inf"), path)] == 3
    assert found["gradient_errors_total", (("code", "cycle"),)] == 1
    assert found["gradient_nodes_total", ()] == 5
    assert found["gradient_lane_waiting", (("lane", "heavy"),)] == 4
    assert found["gradient_cache_hits_total", ()] == 9
    assert found["gradient_workers", ()] == 1
    assert found["gradient_worker_resident_bytes", (("worker", str(os.getpid())),)] > 1e6


def test_workers_counters_are_added_and_outlive_them(tmp_path: Path) -> None:
    dead = Metrics(tmp_path)
    dead.route("/a").add("GET", 200, 0.1)
    dead.gauge("requests_running", "…", lambda: 7)
    dead.publish()
    (file,) = tmp_path.glob("worker-*.json")
    snapshot = json.loads(file.read_bytes())
    file.unlink()
    snapshot["pid"] = 2**22 + 1
    (tmp_path / "worker-x.json").write_text(json.dumps(snapshot))
    (tmp_path / "worker-y.json").write_text("{half")
    metrics = Metrics(tmp_path)
    metrics.route("/a").add("GET", 200, 0.1)
    metrics.gauge("requests_running", "…", lambda: 1)
    found = samples(metrics)
    labels = (("method", "GET"), ("path", "/a"), ("status", "200"))
    assert found["gradient_requests_total", labels] == 2
    assert found["gradient_requests_running", ()] == 1
    assert found["gradient_workers", ()] == 1


def test_resident_memory_is_known() -> None:
    assert resident_bytes() > 10**6
