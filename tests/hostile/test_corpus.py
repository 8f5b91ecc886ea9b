"""Every hostile body against a real server: refused, quickly, with little memory."""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from service.codes import CODES
from tests.fuzz.watching import logged, undocumented
from tests.hostile.corpus import Hostile, corpus
from tests.serving import Server, serving

SECONDS = 0.5
"""Of processor time: a refusal reads the body a second time, to say all that is wrong."""
MEMORY = 50 * 1024 * 1024
CORPUS = corpus()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("hostile")) as running:
        yield running
        log = running.log.read_text("utf-8", "replace")
        assert "Traceback" not in log
        assert undocumented(logged(log)) == set(), "the OpenAPI document lacks a status"


def test_the_corpus_is_large_enough() -> None:
    assert len(CORPUS) >= 200


@pytest.mark.parametrize("hostile", CORPUS, ids=lambda hostile: hostile.name)
def test_it_is_refused(server: Server, hostile: Hostile) -> None:
    seconds, memory = [], []
    for _ in range(3):
        before = restart_peak(server.process.pid)
        worked, started = processor_time(server.process.pid), time.perf_counter()
        status, media, body = post(server, hostile)
        elapsed = time.perf_counter() - started
        # On a machine that is busy with other things, what counts is what the service took.
        seconds.append(min(elapsed, processor_time(server.process.pid) - worked or elapsed))
        memory.append(peak(server.process.pid) - before)
        if seconds[-1] <= SECONDS:
            break
    problem = json.loads(body)
    assert media == "application/problem+json", (status, body[:300])
    assert problem["code"] in CODES
    assert (status, problem["status"]) == (CODES[problem["code"]].status,) * 2
    assert 400 <= status < 500, problem
    if hostile.codes:
        assert problem["code"] in hostile.codes
    assert len(body) < 60_000, "the refusal is longer than a refusal needs to be"
    assert min(seconds) <= SECONDS
    assert min(memory) <= MEMORY


def test_the_service_goes_on(server: Server) -> None:
    body = b'{"graph":{"expression":"(x + y) * z"},"inputs":{"x":-2,"y":5,"z":-4}}'
    status, _, answer = post(server, Hostile("", body))
    assert status == 200
    assert json.loads(answer)["gradients"] == {"x": -4.0, "y": -4.0, "z": 3.0}


def post(server: Server, hostile: Hostile) -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("POST", hostile.path, hostile.body)
        answer = connection.getresponse()
        return answer.status, answer.headers["content-type"], answer.read()
    finally:
        connection.close()


def processor_time(pid: int) -> float:
    """Seconds that the process's threads have run; 0.0 where that is not told."""
    times = []
    for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError):
            times.append(int(task.read_text().split()[0]))
    return sum(times) / 1e9


def restart_peak(pid: int) -> int:
    """Set the process's peak memory to what it has now (Linux), and say how much that is."""
    if not Path("/proc/self/clear_refs").exists():
        return 0
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak(pid)


def peak(pid: int) -> int:
    if not Path("/proc/self/clear_refs").exists():
        return 0
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no peak memory is known")
