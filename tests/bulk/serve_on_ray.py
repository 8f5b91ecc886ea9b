"""The service under Ray Serve on this machine; run where loopback is the only address.

Prints figures as JSON on the last line.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import httpx
import ray
from ray import serve

from tests.serving import serving

REQUEST = {"graph": {"expression": "(x + y) * z"}, "inputs": {"x": -2, "y": 5, "z": -4}}


def median(client: httpx.Client) -> float:
    """Milliseconds of a small request."""
    times = []
    for _ in range(300):
        start = time.perf_counter()
        client.post("/v1/gradient", json=REQUEST).raise_for_status()
        times.append(time.perf_counter() - start)
    return round(sorted(times)[150] * 1e3, 2)


def main() -> None:
    begun = time.perf_counter()
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
    )
    from service.serve_ray import Options, build

    serve.start(http_options={"host": "127.0.0.1", "port": 8123})
    serve.run(build(Options(replicas=1)))
    figures = {"started_s": round(time.perf_counter() - begun, 1)}
    try:
        with httpx.Client(base_url="http://127.0.0.1:8123", timeout=20) as client:
            answer = client.post("/v1/gradient", json=REQUEST)
            assert answer.json()["gradients"] == {"x": -4.0, "y": -4.0, "z": 3.0}, answer.text
            assert client.get("/readyz").json() == {"status": "ready"}
            refused = client.post("/v1/gradient", content=b"{")
            assert (refused.status_code, refused.json()["code"]) == (400, "malformed_json")
            figures["ray_serve_p50_ms"] = median(client)
        with (
            tempfile.TemporaryDirectory() as folder,
            serving(Path(folder)) as server,
            httpx.Client(base_url=server.url) as client,
        ):
            figures["uvicorn_p50_ms"] = median(client)
    finally:
        serve.shutdown()
        ray.shutdown()
    print(json.dumps(figures))


if __name__ == "__main__":
    sys.exit(main())
