"""What is lost when a worker dies, and when the service is told to stop: nothing it need not."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.load.clients import Client, Tally
from tests.load.mix import chain, small, staged
from tests.serving import Server, serving

pytestmark = pytest.mark.load

CASES = [small(-2, 5, -4), staged(3.0, -4.0), chain(400)]
CLIENTS = 6


@contextmanager
def crowd(server: Server) -> Iterator[Tally]:
    """Clients that ask for as long as the block lasts."""
    tally, stop = Tally(), threading.Event()
    clients = [Client(server.port, CASES, tally, stop, seed) for seed in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield tally
    finally:
        stop.set()
        for client in clients:
            client.join(60)


def workers(server: Server) -> set[int]:
    """The ids of the workers that the metrics name."""
    text = httpx.get(server.url + "/metrics", timeout=10).text
    return {
        int(line.split('"')[1])
        for line in text.splitlines()
        if line.startswith("gradient_worker_resident_bytes{")
    }


def wait_for_workers(server: Server, count: int, but: int = 0) -> set[int]:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = workers(server)
        if len(found) == count and but not in found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"there are not {count} workers: {found}")


def test_a_killed_worker_is_replaced_and_only_its_own_requests_are_lost(tmp_path: Path) -> None:
    with serving(tmp_path, workers="2") as server:
        before = wait_for_workers(server, 2)
        victim = min(before)
        with crowd(server) as tally:
            time.sleep(1.5)
            os.kill(victim, signal.SIGKILL)
            killed = time.monotonic()
            after = wait_for_workers(server, 2, but=victim)
            print(f"replaced after {time.monotonic() - killed:.1f} s")
            done = sum(tally.done.values())
            time.sleep(1.5)
            assert sum(tally.done.values()) > done
        assert after != before
        assert tally.wrong == []
        assert len(tally.lost) <= CLIENTS, "no client had more than one request in flight"
        assert set(tally.statuses) == {200}
        counted = httpx.get(server.url + "/metrics").text
        assert "gradient_workers 2.0" in counted


@pytest.mark.parametrize("count", ["1", "2"])
def test_sigterm_under_load_loses_nothing_and_leaves_nothing(
    tmp_path: Path, count: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients go on as long as /readyz says yes, as a load balancer has it."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    with serving(tmp_path, workers=count, drain_seconds="1.5") as server:
        with crowd(server) as tally:
            time.sleep(1.5)
            server.process.send_signal(signal.SIGTERM)
            told = time.monotonic()
            while httpx.get(server.url + "/readyz", timeout=5).status_code == 200:
                assert time.monotonic() - told < 1, "/readyz says yes while draining"
                time.sleep(0.02)
            assert httpx.get(server.url + "/healthz").status_code == 200
            time.sleep(0.3)
        assert server.process.wait(20) in {0, -signal.SIGTERM}
    assert list(temporary.iterdir()) == []
    assert tally.wrong == tally.lost == []
    assert tally.unreached == 0
    assert set(tally.statuses) == {200}
    assert sum(tally.done.values()) > 100


def test_a_request_that_runs_when_sigterm_comes_is_answered(tmp_path: Path) -> None:
    slow = {
        "graph": {"expression": "m = broadcast_to(a, shape=[2500, 2500])\nf = sum(m @ m @ m)"},
        "inputs": {"a": 1.0},
        "values": "output",
    }
    with serving(tmp_path, drain_seconds="0") as server:
        answers: list[httpx.Response] = []

        def ask() -> None:
            answers.append(httpx.post(server.url + "/v1/gradient", json=slow, timeout=60))

        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(0.3)
        code = server.stop(60)
        asking.join(60)
        assert code in {0, -signal.SIGTERM}
        assert [answer.status_code for answer in answers] == [200]
        assert answers[0].headers["connection"] == "close"


def test_health_is_answered_while_heavy_requests_run(tmp_path: Path) -> None:
    heavy = {
        "graph": {"expression": "m = broadcast_to(a, shape=[1500, 1500])\nf = sum(m @ m)"},
        "inputs": {"a": 1.0},
        "values": "output",
    }
    with serving(tmp_path) as server:
        asking = [
            threading.Thread(
                target=httpx.post,
                args=(server.url + "/v1/gradient",),
                kwargs={"json": heavy, "timeout": 60},
            )
            for _ in range(4)
        ]
        for thread in asking:
            thread.start()
        seconds = []
        with httpx.Client() as client:
            while any(thread.is_alive() for thread in asking):
                started = time.perf_counter()
                assert client.get(server.url + "/healthz").status_code == 200
                seconds.append(time.perf_counter() - started)
                time.sleep(0.01)
        seconds.sort()
        print(f"healthz p99 {1000 * seconds[int(0.99 * len(seconds))]:.1f} ms of {len(seconds)}")
        # The figure printed is the one to look at; the bound leaves room for a machine that is
        # busy with other things. Behind the heavy requests it would be seconds.
        assert seconds[len(seconds) // 2] < 0.05
        assert seconds[int(0.95 * len(seconds))] < 0.25
