"""From starting Python to the first answer, without a socket."""

import subprocess
import sys

from timing import median_seconds, report

ASK = """
import asyncio, httpx
async def ask(app, method, path, **kw):
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.request(method, path, **kw)
        assert answer.status_code == 200, answer.text
"""
OURS = (
    ASK
    + """
from service.app import create_app
graph = {"expression": "(x + y) * z"}
asyncio.run(ask(create_app(), "POST", "/v1/gradient",
                json={"graph": graph, "inputs": {"x": -2, "y": 5, "z": -4}}))
"""
)
EMPTY = (
    ASK
    + """
import alembic, msgspec, numpy, orjson, prometheus_client, pydantic_settings, sqlalchemy, uvloop
import uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.get("/")
async def root() -> dict[str, str]:
    return {}
asyncio.run(ask(app, "GET", "/"))
"""
)
code = OURS if sys.argv[1] == "ours" else EMPTY
report(
    seconds=median_seconds(
        lambda: subprocess.run([sys.executable, "-c", code], check=True, timeout=60), least=4.0
    )
)
