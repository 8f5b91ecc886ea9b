"""A whole request, bytes to bytes: first sight, again, or json.loads of the same body."""

import gc
import json
import resource
import sys
import time

from graphs import body
from timing import report

what, nodes = sys.argv[1], int(sys.argv[2])
text = body(nodes)
if what == "size":
    report(bytes=len(text))
    raise SystemExit
if what == "json":
    started = time.perf_counter()
    json.loads(text)
    seconds = time.perf_counter() - started
    report(seconds=seconds, per_node=seconds / nodes)
    raise SystemExit

from service.app import compute_endpoints, make_context  # noqa: E402
from service.engine.control import Control  # noqa: E402
from service.settings import Settings  # noqa: E402

endpoint = compute_endpoints()["/v1/gradient"]
context = make_context(Settings(max_body_bytes=2**31, graph_cache_bytes=2**31))
gc.collect()
gc.freeze()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.perf_counter()
endpoint.read(text, context).run(Control())
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
if what == "again":
    times = []
    for _ in range(5):
        started = time.perf_counter()
        endpoint.read(text, context).run(Control())
        times.append(time.perf_counter() - started)
    seconds = sorted(times)[2]
report(seconds=seconds, per_node=seconds / nodes, bytes=peak * 1024)
