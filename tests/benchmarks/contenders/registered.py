"""A registered graph over HTTP: one client that keeps its connection, values of the output only.

With "loops", without machine code.
"""

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import time

from graphs import LEAVES, drawn
from timing import median_seconds, report

_WITHOUT = "import sys; sys.modules['llvmlite'] = None; from service.cli import main; main()"


def main() -> None:
    leaves, steps = drawn(int(sys.argv[1]), sys.argv[2], sys.argv[3])
    nodes = [{"id": f"n{i}", "op": "input"} for i in range(LEAVES)]
    nodes += [
        {"id": f"n{i}", "op": gate, "inputs": [f"n{j}" for j in sources]}
        for i, (gate, sources) in enumerate(steps, LEAVES)
    ]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    how = ["-c", _WITHOUT] if sys.argv[4:] == ["loops"] else ["-m", "service"]
    server = subprocess.Popen([sys.executable, *how, "serve", "--port", str(port)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

        def ask(path: str, body: object) -> dict:
            content = json.dumps(body)
            connection.request("POST", path, content, {"content-type": "application/json"})
            return json.loads(connection.getresponse().read())

        for _ in range(300):
            with contextlib.suppress(OSError):
                connection.request("GET", "/readyz")
                connection.getresponse().read()
                break
            connection.close()
            time.sleep(0.1)
        graph = {"nodes": nodes, "output": nodes[-1]["id"]}
        name = ask("/v1/graphs", {"graph": graph})["id"]
        inputs = {f"n{i}": value for i, value in enumerate(leaves)}
        question = {"graph": name, "inputs": inputs, "values": "output"}
        answer = ask("/v1/gradient", question)
        for _ in range(40):
            ask("/v1/gradient", question)
        seconds = median_seconds(lambda: ask("/v1/gradient", question), 1.0)
        report(seconds=seconds, checksum=sum(answer["gradients"].values()))
    finally:
        server.terminate()
        server.wait(30)


main()
