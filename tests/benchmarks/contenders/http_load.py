"""One worker under wrk: ours, a bare ASGI function, a Tesseract or an UM-Bridge server.

Each is started on loopback, asked with 32 connections for some seconds, and stopped.
"""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from timing import report

HERE = Path(__file__).parent
SECONDS = 5
NODES = (
    '{"graph":{"nodes":[{"id":"x","op":"input","value":-2},{"id":"y","op":"input","value":5},'
    '{"id":"z","op":"input"},{"id":"q","op":"add","inputs":["x","y"]},'
    '{"id":"f","op":"mul","inputs":["q","z"]}],"output":"f"},"inputs":{"z":-4}}'
)
TESSERACT = (
    '{"inputs":{"x":-2.0,"y":5.0,"z":-4.0},"vjp_inputs":["x","y","z"],"vjp_outputs":["f"],'
    '"cotangent_vector":{"f":1.0}}'
)
UMBRIDGE = (
    '{"name":"circuit","outWrt":0,"inWrt":0,"input":[[-2.0,5.0,-4.0]],"sens":[1.0],"config":{}}'
)
server = sys.argv[1]


def cpu_seconds(pid: int) -> float:
    """What a process has used so far; steadier than rates where others use the machine too."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if shutil.which("wrk") is None:
    raise SystemExit("wrk is not installed (Debian's package wrk)")
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
BARE = [
    sys.executable,
    "-m",
    "uvicorn",
    "bare:app",
    "--app-dir",
    str(HERE),
    "--port",
    str(port),
    "--no-access-log",
    "--log-level",
    "warning",
]
STARTS = {
    "ours": ([sys.executable, "-m", "service", "serve", "--port", str(port)], "/v1/gradient", NODES,
             "/healthz"),
    "bare": (BARE, "/", NODES, "/"),
    "tesseract": ([sys.executable, str(HERE / "tesseract_server.py"), str(port)],
                  "/vector_jacobian_product", TESSERACT, "/health"),
    "umbridge": ([sys.executable, str(HERE / "umbridge_server.py"), str(port)], "/Gradient",
                 UMBRIDGE, "/Info"),
}  # fmt: skip
command, path, body, health = STARTS[server]
with tempfile.TemporaryDirectory() as folder:
    script = Path(folder) / "post.lua"
    script.write_text(
        'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
        f"wrk.body = [==[{body}]==]\n"
    )
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}{health}", timeout=1)
                break
            time.sleep(0.1)
        url = f"http://127.0.0.1:{port}{path}"
        wrk = ["wrk", "-t1", "-c32", "--latency", "-s", str(script)]
        subprocess.run([*wrk, "-d1", url], capture_output=True, timeout=60, check=True)
        before = cpu_seconds(process.pid)
        done = subprocess.run(
            [*wrk, f"-d{SECONDS}", url], capture_output=True, text=True, timeout=60, check=True
        )
        used = cpu_seconds(process.pid) - before
    finally:
        process.terminate()
        process.wait(30)
if "Non-2xx" in done.stdout:
    raise SystemExit("answers other than 200")
rate = float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1])
number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", done.stdout).groups()
answered = int(re.search(r"(\d+) requests in", done.stdout)[1])
report(
    rate=rate,
    p99=float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[unit],
    cpu=used / answered,
)
