"""Twelve clients that ask for much and read nothing: memory stays bounded, others are served."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from tests.load.unread import BATCH, NUMBERS, ask, resident_bytes
from tests.serving import serving

MOST_BYTES = 150e6


def most_held(folder: Path, seconds: float, **settings: str) -> float:
    """The most bytes that the service takes more while its clients don't read."""
    with serving(folder, **settings) as server:
        for path, _ in (NUMBERS, BATCH):  # So that all is loaded, and nothing large is kept.
            httpx.post(server.url + path, content=b"{}", timeout=60)
        before = most = resident_bytes(server.process.pid)
        connections = [ask(server, *case) for case in (NUMBERS, BATCH) * 6]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            most = max(most, resident_bytes(server.process.pid))
            assert httpx.get(server.url + "/healthz", timeout=5).status_code == 200
            time.sleep(0.05)
        for connection in connections:
            connection.close()
    return most - before


@pytest.mark.load
def test_unread_answers_for_a_few_seconds(tmp_path: Path) -> None:
    held = most_held(tmp_path, 8)
    print(f"\n{held / 1e6:.0f} MB held")
    assert held < MOST_BYTES


@pytest.mark.soak
def test_unread_answers_for_a_minute(tmp_path: Path) -> None:
    held = most_held(tmp_path, 60)
    print(f"\n{held / 1e6:.0f} MB held")
    assert held < MOST_BYTES
