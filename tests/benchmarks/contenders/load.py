"""A load generator for where wrk is missing: PORT PATH SECONDS, the body on standard input.

It takes far more of the machine than wrk does, so rates come out lower than with wrk.
"""

import asyncio
import sys
import time

from timing import report

CONNECTIONS = 32


async def client(port: int, request: bytes, end: float, times: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < end:
        started = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit("answers other than 200")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
        await reader.readexactly(int(length))
        times.append(time.perf_counter() - started)
    writer.close()


async def main() -> None:
    port, path, seconds = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    body = sys.stdin.buffer.read()
    request = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode() + body
    times: list[float] = []
    end = time.perf_counter() + seconds
    await asyncio.gather(*(client(port, request, end, times) for _ in range(CONNECTIONS)))
    times.sort()
    report(rate=len(times) / seconds, p99=times[len(times) * 99 // 100], answered=len(times))


asyncio.run(main())
