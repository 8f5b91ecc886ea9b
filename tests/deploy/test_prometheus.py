"""A real Prometheus reads the service, the rules fire, and the dashboard finds its data."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.serving import ROOT, Server, free_port, serving

DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
SECONDS = float(os.environ.get("GRADIENT_SCRAPE_SECONDS", "6"))
"""How long the service is scraped for; `make test-prometheus` takes a minute."""


def promtool(*arguments: str) -> str:
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not installed: make promtool")
    done = subprocess.run(
        [tool, *arguments], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_rules_and_configuration_load() -> None:
    promtool("check", "rules", str(RULES))
    promtool("check", "config", str(DEPLOY / "prometheus" / "prometheus.yml"))


def test_every_alert_fires_when_it_should() -> None:
    tests = ROOT / "tests" / "deploy" / "alerts_test.yml"
    assert "SUCCESS" in promtool("test", "rules", str(tests))
    named = {rule["alert"] for rule in alerts() if "alert" in rule}
    assert named == set(re.findall(r"\bGradient[A-Z]\w+", tests.read_text()))


def queries() -> dict[str, str]:
    """The expressions of the dashboard and of the alerts, by where they stand."""
    dashboard = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())
    found = {
        f"{panel['title']} {target['refId']}": target["expr"]
        .replace("$__rate_interval", "4s")
        .replace("$instance", ".*")
        for panel in dashboard["panels"]
        for target in panel["targets"]
    }
    return found | {f"alert {r['alert']}": r["expr"] for r in alerts() if "alert" in r}


class Prometheus:
    """A running Prometheus."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, query: str) -> list[Any]:
        """The samples that `query` finds now."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": query}).json()
        assert answer["status"] == "success", (query, answer)
        samples: list[Any] = answer["data"]["result"]
        return samples

    def number(self, query: str) -> float:
        """The one number that `query` finds; 0 if there is none."""
        samples = self.ask(query)
        return float(samples[0]["value"][1]) if samples else 0.0


@contextmanager
def scraping(folder: Path, server: Server) -> Iterator[Prometheus]:
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("Prometheus is not installed: make promtool")
    stated = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    stated["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    stated["rule_files"] = [str(RULES)]
    stated["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{server.port}"]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(stated))
    port = free_port()
    process = subprocess.Popen(
        [
            program,
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                if httpx.get(f"{url}/-/ready").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        yield Prometheus(url)
    finally:
        process.terminate()
        process.wait(20)


def test_prometheus_counts_two_workers_to_the_request(tmp_path: Path) -> None:
    sent = {200: 0, 400: 0}
    codes: set[str] = set()
    over = threading.Event()
    body = {"graph": {"expression": "x * y"}, "inputs": {"x": 3, "y": 4}}

    def send() -> None:
        while not over.is_set():
            # A connection each, so that both workers get some.
            good = httpx.post(f"{server.url}/v1/gradient", json=body)
            bad = httpx.post(f"{server.url}/v1/gradient", content=b"{")
            sent[good.status_code] += 1
            sent[bad.status_code] += 1
            codes.add(bad.json()["code"])

    with serving(tmp_path, workers="2") as server, scraping(tmp_path, server) as prometheus:
        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        time.sleep(SECONDS)
        shown = {where: query for where, query in queries().items() if "alert" not in where}
        end = time.monotonic() + 20
        while silent := [where for where, query in shown.items() if not prometheus.ask(query)]:
            assert time.monotonic() < end, silent
            time.sleep(1)
        firing = [a for a in alerts() if "alert" in a and prometheus.ask(a["expr"])]
        assert not firing, "an alert fires on a healthy service"
        over.set()
        sender.join(20)
        httpx.get(f"{server.url}/healthz")
        counted = 'sum(gradient_requests_total{path="/v1/gradient",status="%s"})'
        for status, wanted in sent.items():
            end = time.monotonic() + 20
            while (found := prometheus.number(counted % status)) != wanted:
                assert time.monotonic() < end, (status, found, wanted)
                time.sleep(0.2)
        assert sent[200] > 10
        assert sent[400] > 10
        (code,) = codes
        assert prometheus.number(f'sum(gradient_errors_total{{code="{code}"}})') == sent[400]
        assert prometheus.number("max(gradient_workers)") == 2
        names = httpx.get(f"{prometheus.url}/api/v1/label/__name__/values").json()["data"]
        counters = [name for name in names if re.search("^gradient_.*_(total|count|bucket)", name)]
        assert len(counters) > 10
        assert [name for name in counters if prometheus.ask(f"resets({name}[10m]) > 0")] == []
        rules = httpx.get(f"{prometheus.url}/api/v1/rules").json()["data"]["groups"]
        health = {rule["name"]: rule["health"] for group in rules for rule in group["rules"]}
        assert set(health.values()) == {"ok"}, health


def test_everything_that_is_asked_for_is_a_metric(tmp_path: Path) -> None:
    asked = set(re.findall(r"\bgradient_\w+", " ".join(queries().values())))
    with serving(tmp_path, workers="1") as server:
        httpx.post(f"{server.url}/v1/gradient", content=b"{")
        time.sleep(1)
        there = set(re.findall(r"^gradient_\w+", httpx.get(f"{server.url}/metrics").text, re.M))
    assert asked <= there
