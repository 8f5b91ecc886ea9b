"""A whole request, bytes to bytes: first sight, again, or json.loads of the same body.

"Again" is the same graph with other inputs, so that nothing but the graph can be remembered.
"""

import gc
import json
import resource
import sys
import time

from graphs import body
from timing import report

REPEATS = 5


def resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


what, nodes = sys.argv[1], int(sys.argv[2])
if what in ("json", "size"):
    text = body(nodes)
    started = time.perf_counter()
    json.loads(text)
    seconds = time.perf_counter() - started
    report(seconds=seconds, per_node=seconds / nodes, bytes=len(text))
    raise SystemExit

from service.app import make_context, operations  # noqa: E402
from service.engine.control import Control  # noqa: E402
from service.settings import Settings  # noqa: E402

operation = operations()["/v1/gradient"]
context = make_context(Settings(max_body_bytes=2**31, graph_cache_bytes=2**31))


def ask(text: bytes) -> float:
    started = time.perf_counter()
    operation.compute(text, context, Control())
    return time.perf_counter() - started


ask(b'{"graph":{"expression":"x * x"},"inputs":{"x":1}}')  # a server in use, not a new one
gc.collect()
gc.freeze()  # as the server does after start-up
before = resident()
text = body(nodes)
seconds = ask(text)
peak = resident() - before
if what == "again":
    others = [b'%s,"inputs":{"n0":%.3f}}' % (text[:-1], i / 8) for i in range(REPEATS)]
    seconds = sorted(map(ask, others))[REPEATS // 2]
report(seconds=seconds, per_node=seconds / nodes, bytes=peak)
