import asyncio
import time
import warnings
from threading import Event

import numpy as np
import pytest

from service.codes import Refusal
from service.http.pools import Pools, WorkerPool
from service.settings import Settings


async def settled(pool: WorkerPool) -> None:
    end = time.monotonic() + 5
    while pool.running and time.monotonic() < end:
        await asyncio.sleep(0.005)
    assert pool.running == 0


def test_a_full_queue_refuses_at_once() -> None:
    async def scenario() -> None:
        pool = WorkerPool("t", threads=1, queue=2, retry_after=3)
        gate = Event()
        futures = [pool.submit(gate.wait) for _ in range(3)]
        assert (pool.running, pool.waiting) == (1, 2)
        with pytest.raises(Refusal) as raised:
            pool.submit(gate.wait)
        assert raised.value.code.name == "overloaded"
        assert dict(raised.value.headers) == {"retry-after": "3"}
        assert pool.refused == 1
        gate.set()
        assert all(await asyncio.gather(*futures))
        await settled(pool)
        assert await pool.submit(lambda: 7) == 7
        pool.close()

    asyncio.run(scenario())


def test_waiting_work_that_is_cancelled_never_runs_and_gives_its_place_back() -> None:
    async def scenario() -> None:
        pool = WorkerPool("t", threads=1, queue=1, retry_after=1)
        gate, ran = Event(), Event()
        first = pool.submit(gate.wait)
        second = pool.submit(ran.set)
        second.cancel()
        await asyncio.sleep(0)
        assert pool.waiting == 0
        gate.set()
        await first
        await settled(pool)
        assert not ran.is_set()
        pool.close()

    asyncio.run(scenario())


def test_light_work_does_not_wait_behind_heavy_work() -> None:
    async def scenario() -> None:
        pools = Pools(Settings(heavy_threads=1, light_threads=1))
        gate = Event()
        heavy = [pools.heavy.submit(gate.wait) for _ in range(5)]
        assert await asyncio.wait_for(pools.light.submit(lambda: 1), 2) == 1
        gate.set()
        await asyncio.gather(*heavy)
        pools.close()

    asyncio.run(scenario())


def test_nothing_that_numpy_warns_of_escapes_from_a_thread() -> None:
    async def scenario() -> None:
        pool = WorkerPool("t", threads=1, queue=1, retry_after=1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = await pool.submit(lambda: np.log(np.zeros(3)) + np.exp(np.full(3, 1e4)))
        assert np.isnan(result).all()
        pool.close()

    asyncio.run(scenario())


def test_held_bytes_are_bounded() -> None:
    pools = Pools(Settings(max_pending_bytes=100))
    pools.hold(60)
    with pytest.raises(Refusal):
        pools.hold(60)
    pools.release(60)
    pools.hold(100)
    pools.close()
