"""Memory that was freed is used again without going back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

from service.engine.memory import keep_freed_memory

FAULTS = """
import resource
import threading
import numpy as np
from service.engine.memory import keep_freed_memory

keep = {keep}
if keep:
    keep_freed_memory()


def work():
    for _ in range(3):
        a = np.ones(5_000_000)
        b = a * 2.0
        del a, b


def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


found = []
thread = threading.Thread(target=lambda: found.extend([faults(), faults()]))
thread.start()
thread.join()
print(found[1])
"""


def faults(keep: bool) -> int:
    """Pages that the system had to clear for the same work done a second time."""
    done = subprocess.run(
        [sys.executable, "-c", FAULTS.format(keep=keep)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return int(done.stdout)


def test_freed_arrays_are_used_again() -> None:
    if not keep_freed_memory():
        pytest.skip("not glibc")
    assert faults(keep=True) < 100
    assert faults(keep=False) > faults(keep=True)


GIVEN_BACK = """
import numpy as np
from service.engine.memory import give_back_freed_memory, keep_freed_memory


def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096


keep_freed_memory()
arrays = [np.ones(100_000) for _ in range(100)]
last = bytearray(10_000)
del arrays
held = resident()
give_back_freed_memory()
print(held - resident())
"""


def test_freed_memory_is_given_back_when_asked_for() -> None:
    if not keep_freed_memory():
        pytest.skip("not glibc")
    done = subprocess.run(
        [sys.executable, "-c", GIVEN_BACK], capture_output=True, text=True, timeout=60, check=True
    )
    assert int(done.stdout) > 70_000_000
