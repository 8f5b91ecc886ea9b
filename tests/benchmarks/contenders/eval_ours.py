"""An eval by the service: `engine` in process, `loops` without machine code, or `http`."""

import contextlib
import socket
import subprocess
import sys
import time

way, name, *sizes = sys.argv[1:]
if way == "loops":
    sys.modules["llvmlite"] = None  # type: ignore[assignment]

import numpy as np  # noqa: E402
from evals import EVALS, Eval  # noqa: E402
from timing import median_seconds, report  # noqa: E402


def measure(call, one: Eval) -> None:
    answer = [float(np.linalg.norm(np.asarray(call()[key]))) for key in one.wrt]
    report(seconds=median_seconds(call, 1.0), answer=answer)


def engine(one: Eval) -> None:
    from service.engine.compute import gradient
    from service.engine.derivatives import hvp
    from service.engine.expression import parse_expression
    from service.engine.graph import resolve
    from service.engine.memory import keep_freed_memory
    from service.engine.program import program_for

    keep_freed_memory()  # as the service does when it starts, and its peers do by themselves
    program = program_for(resolve(parse_expression(one.text)), one.arrays)
    ones = {key: np.ones(one.arrays[key].shape) for key in one.wrt}

    def call():
        if one.hvp:
            return hvp(program, one.arrays, ones).hvp
        return gradient(program, one.arrays, wrt=list(one.wrt), values=False).gradients

    measure(call, one)


def http(one: Eval) -> None:
    from gradient_client import Client

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "service", "serve", "--port", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        client = Client(f"http://127.0.0.1:{port}")
        for _ in range(300):
            with contextlib.suppress(Exception):
                client.operators()
                break
            time.sleep(0.1)
        graph = client.register(one.text).id
        ones = {key: np.ones(one.arrays[key].shape) for key in one.wrt}

        def call():
            if one.hvp:
                return client.hvp(graph, one.arrays, vector=ones).hvp
            return client.gradient(graph, one.arrays, wrt=list(one.wrt)).gradients

        measure(call, one)
    finally:
        server.terminate()
        server.wait(30)


(http if way == "http" else engine)(EVALS[name](*map(int, sizes)))
