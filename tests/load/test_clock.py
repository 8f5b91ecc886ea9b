"""The wall clock is set, a year on and a year back, while the service runs: it goes on."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest

from tests.load.clients import Client, Tally
from tests.load.mix import chain, small, staged
from tests.load.test_faults import wait_for_workers
from tests.serving import Server, serving

pytestmark = pytest.mark.load

JUMPS = (400, -400, 0)
"""Days ahead."""
DAY = 86_400
CLOCK = Path(__file__).parent / "clock"


@pytest.fixture
def set_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the wall clock of the servers that the test starts so many days ahead."""
    ahead, fresh = tmp_path / "clock", tmp_path / "clock.new"
    monkeypatch.setenv("CLOCK_AHEAD", str(ahead))

    def set_to(days: int) -> None:
        # In place of the old file at once: a reader must never find it empty.
        fresh.write_text(str(days * DAY))
        fresh.replace(ahead)

    set_to(0)
    return set_to


def wait_until_ahead(server: Server, seconds: float) -> None:
    """Until the `Date` of answers, which is made anew from time to time, shows the jump."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        date = httpx.get(server.url + "/healthz", timeout=10).headers["date"]
        ahead = parsedate_to_datetime(date).timestamp() - time.time()
        if abs(ahead - seconds) < 30:
            return
        time.sleep(0.2)
    raise AssertionError(f"the clock did not jump: it is {ahead:.0f} s ahead")


def test_jumps_lose_no_request_and_no_worker(
    tmp_path: Path, set_clock: Callable[[int], None]
) -> None:
    with serving(tmp_path, path=CLOCK, workers="2") as server:
        before = wait_for_workers(server, 2)
        tally, stop = Tally(), threading.Event()
        cases = [small(-2, 5, -4), staged(3.0, -4.0), chain(20_000)]
        clients = [Client(server.port, cases, tally, stop, seed) for seed in range(4)]
        for client in clients:
            client.start()
        graphs = []
        for days in JUMPS:
            time.sleep(1)
            set_clock(days)
            wait_until_ahead(server, days * DAY)
            document = {"graph": {"expression": f"x * {days}"}}
            made = httpx.post(server.url + "/v1/graphs", json=document, timeout=10)
            assert made.status_code == 201
            graphs.append(made.json()["id"])
        done = sum(tally.done.values())
        time.sleep(1)
        stop.set()
        for client in clients:
            client.join(60)
        assert sum(tally.done.values()) > done
        assert tally.wrong == tally.lost == []
        assert set(tally.statuses) == {200}
        assert wait_for_workers(server, 2) == before
        listed = httpx.get(server.url + "/v1/graphs", timeout=10).json()["graphs"]
        assert {item["id"] for item in listed} >= set(graphs)


def test_a_rate_goes_by_seconds_that_pass(tmp_path: Path, set_clock: Callable[[int], None]) -> None:
    key = {
        "name": "course",
        "sha256": hashlib.sha256(b"secret").hexdigest(),
        "scopes": ["compute"],
        "rate": 1,
        "burst": 1,
    }
    body = {"graph": {"expression": "x * x"}, "inputs": {"x": 3}}
    with serving(tmp_path, path=CLOCK, api_keys=json.dumps([key])) as server:

        def ask() -> httpx.Response:
            headers = {"x-api-key": "secret"}
            return httpx.post(server.url + "/v1/gradient", json=body, headers=headers, timeout=10)

        for days in JUMPS:
            time.sleep(1.1)
            assert ask().status_code == 200
            set_clock(days)
            refused = ask()
            assert refused.status_code == 429
            assert refused.headers["retry-after"] == "1"
