"""One worker under load: ours, a bare ASGI function, a Tesseract or an UM-Bridge server.

Each is started on loopback, asked with 32 connections for some seconds, and stopped. The
load comes from wrk, in a process of its own, or from `load.py` where wrk is missing.
"""

import contextlib
import json
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


def command(server: str, port: int) -> tuple[list[str], str, str, str]:
    """How a server is started, its path, the body, and where it says that it is there."""
    python, at = sys.executable, str(port)
    match server:
        case "ours":
            return (
                [python, "-m", "service", "serve", "--port", at],
                "/v1/gradient",
                NODES,
                "/healthz",
            )
        case "bare":
            uvicorn = [python, "-m", "uvicorn", "bare:app", "--app-dir", str(HERE), "--port", at]
            return [*uvicorn, "--no-access-log", "--log-level", "warning"], "/", NODES, "/"
        case "tesseract":
            script = [python, str(HERE / "tesseract_server.py"), at]
            return script, "/vector_jacobian_product", TESSERACT, "/health"
    return [python, str(HERE / "umbridge_server.py"), at], "/Gradient", UMBRIDGE, "/Info"


def by_wrk(port: int, path: str, body: str, seconds: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        script.write_text(
            'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
            f"wrk.body = [==[{body}]==]\n"
        )
        done = subprocess.run(
            ["wrk", "-t1", "-c32", "--latency", "-s", script, f"-d{seconds}",
             f"http://127.0.0.1:{port}{path}"],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
    if "Non-2xx" in done.stdout:
        raise SystemExit("answers other than 200")
    number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", done.stdout).groups()
    return {
        "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1]),
        "p99": float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[unit],
        "answered": int(re.search(r"(\d+) requests in", done.stdout)[1]),
    }


def by_python(port: int, path: str, body: str, seconds: int) -> dict[str, float]:
    script = [sys.executable, HERE / "load.py", str(port), path, str(seconds)]
    done = subprocess.run(script, input=body.encode(), capture_output=True, timeout=60, check=True)
    return json.loads(done.stdout)


def cpu_seconds(pid: int) -> float:
    """What a process has used so far; steadier than rates where others use the machine too."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    start, path, body, health = command(sys.argv[1], port)
    load = by_wrk if shutil.which("wrk") else by_python
    process = subprocess.Popen(start, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}{health}", timeout=1)
                break
            time.sleep(0.1)
        load(port, path, body, 1)
        before = cpu_seconds(process.pid)
        found = load(port, path, body, SECONDS)
        found["cpu"] = (cpu_seconds(process.pid) - before) / found["answered"]
    finally:
        process.terminate()
        process.wait(30)
    note = "" if load is by_wrk else "load from Python, for wrk is not installed"
    report(**found, note=note)


main()
