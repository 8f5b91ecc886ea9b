"""Workers that end when the process that started them was killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from threading import Thread

GRACE_SECONDS = 5.0
"""How long a worker may take to finish what it does."""


def end_with_parent() -> None:
    """Have this process end soon after its parent, if multiprocessing started it.

    A parent that is killed can't tell its workers, which would keep its port and its files.
    """
    if multiprocessing.parent_process() is not None:
        Thread(target=_wait, name="parent", daemon=True).start()


def _wait() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(1)
